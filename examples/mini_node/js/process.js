// The global `process`.
'use strict';

const EventEmitter = require('events');
const native = internalBinding('process');
const options = internalBinding('options');
const taskQueue = internalBinding('task_queue');
const { codes } = require('internal/errors');
const environment = require('internal/environment');
const fatal = require('internal/fatal');
const logged = require('internal/logged');
const {
  validateArray, validateFunction, validateInteger, validateString,
} = require('internal/validators');

// The Node whose behaviour this is.
const VERSION = '20.20.2';

const proto = Object.create(EventEmitter.prototype, {
  constructor: { value: function process() {}, configurable: true, writable: true },
  [Symbol.toStringTag]: { value: 'process', configurable: true },
});
Object.setPrototypeOf(process, proto);
EventEmitter.call(process);
module.exports = process;

process.version = `v${VERSION}`;
process.versions = { node: VERSION, uv: '1.46.0', modules: '115', windlass: '0.1.0' };
process.arch = native.arch;
process.platform = native.platform;
process.release = { name: 'node', lts: 'Iron' };
process._exiting = false;
process.config = { target_defaults: {}, variables: {} };
process.features = { inspector: false, debug: false, uv: true, ipv6: true, tls: false };
process.title = 'mini_node';
process.debugPort = 9229;
process.argv = native.argv;
process.argv0 = native.argv[0];
process.execPath = native.argv[0];
process.execArgv = options.given;
process.pid = native.pid;
process.ppid = native.ppid;
process.env = environment(native.env());

// The end.

let exitCode;

Object.defineProperty(process, 'exitCode', {
  configurable: true,
  enumerable: true,
  get() { return exitCode; },
  set(code) {
    if (code !== null && code !== undefined) {
      let value = code;
      if (typeof code === 'string' && code !== '' && Number.isInteger(Number(code))) value = Number(code);
      validateInteger(value, 'code');
      exitCode = value;
      native.setExitCode(value);
    } else {
      exitCode = code;
      native.setExitCode(0);
    }
  },
});

process.reallyExit = (code) => native.reallyExit(code | 0);

process.exit = function exit(code) {
  if (arguments.length !== 0 && code !== undefined) process.exitCode = code;
  if (!process._exiting) {
    process._exiting = true;
    process.emit('exit', process.exitCode || 0);
  }
  // A handler may have given another code.
  process.reallyExit(process.exitCode || 0);
};

process.abort = native.abort;

native.onBeforeExit(() => process.emit('beforeExit', process.exitCode || 0));

native.onExit(() => {
  if (!process._exiting) {
    process._exiting = true;
    process.emit('exit', process.exitCode || 0);
  }
  return process.exitCode || 0;
});

process.setUncaughtExceptionCaptureCallback = function setUncaughtExceptionCaptureCallback(callback) {
  if (callback === null) return fatal.setCapture(null);
  if (typeof callback !== 'function') {
    throw new codes.ERR_INVALID_ARG_TYPE('fn', ['Function', 'null'], callback);
  }
  if (fatal.hasCapture()) throw new codes.ERR_UNCAUGHT_EXCEPTION_CAPTURE_ALREADY_SET();
  fatal.setCapture(callback);
};
process.hasUncaughtExceptionCaptureCallback = () => fatal.hasCapture();
process._fatalException = fatal.handleUncaught;

// Ticks.

process.nextTick = function nextTick(callback, ...args) {
  validateFunction(callback, 'callback');
  if (process._exiting) return;
  taskQueue.nextTick(args.length === 0 ? callback : () => callback(...args));
};

// Time, place and memory.

process.hrtime = function hrtime(time) {
  const [seconds, nanoseconds] = native.hrtime();
  if (time === undefined) return [seconds, nanoseconds];
  validateArray(time, 'time');
  if (time.length !== 2) throw new codes.ERR_OUT_OF_RANGE('time', 2, time.length);
  const [sinceSeconds, sinceNanoseconds] = time;
  const difference = nanoseconds - sinceNanoseconds;
  return difference < 0 ?
    [seconds - sinceSeconds - 1, difference + 1e9] : [seconds - sinceSeconds, difference];
};
process.hrtime.bigint = function bigint() { return native.hrtimeBigInt(); };
process.uptime = () => native.uptime();

process.memoryUsage = function memoryUsage() {
  const [rss, heapUsed] = native.memoryUsage();
  return { rss, heapTotal: heapUsed, heapUsed, external: 0, arrayBuffers: 0 };
};
process.memoryUsage.rss = () => native.memoryUsage()[0];

process.cwd = () => native.cwd();
process.chdir = function chdir(directory) {
  validateString(directory, 'directory');
  const errno = native.chdir(directory);
  if (errno !== 0) throw require('internal/io_errors').fileError(errno, 'chdir', process.cwd(), directory);
  require('internal/cwd').changed();
};

process.umask = function umask(mask) {
  return native.umask(mask === undefined ? undefined : require('internal/fs/utils').toMode(mask, undefined, 'mask'));
};

process.binding = (name) => internalBinding(name);
process.getActiveResourcesInfo = () => [];

// Warnings.

for (const name of ['noDeprecation', 'throwDeprecation', 'traceDeprecation']) {
  if (options[name]) process[name] = true;
}

let hasHinted = false;

function onWarning(warning) {
  if (!(warning instanceof Error)) return;
  const isDeprecation = warning.name === 'DeprecationWarning';
  if (isDeprecation && process.noDeprecation) return;
  let text = `(node:${process.pid}) `;
  if (warning.code) text += `[${warning.code}] `;
  const isTraced = options.traceWarnings || (isDeprecation && process.traceDeprecation);
  text += isTraced && typeof warning.stack === 'string' ? warning.stack : `${warning.toString()}`;
  if (!isTraced && !hasHinted) {
    hasHinted = true;
    const flag = isDeprecation ? '--trace-deprecation' : '--trace-warnings';
    text += `\n(Use \`node ${flag} ...\` to show where the warning was created)`;
  }
  if (typeof warning.detail === 'string') text += `\n${warning.detail}`;
  process.stderr.write(`${text}\n`);
}

if (!options.noWarnings && process.env.NODE_NO_WARNINGS !== '1') process.on('warning', onWarning);

process.emitWarning = function emitWarning(warning, type, code, ctor) {
  let detail;
  if (type !== null && typeof type === 'object' && !Array.isArray(type)) {
    ctor = type.ctor;
    code = type.code;
    if (typeof type.detail === 'string') detail = type.detail;
    type = type.type || 'Warning';
  } else if (typeof type === 'function') {
    ctor = type;
    code = '';
    type = 'Warning';
  }
  if (type !== undefined) validateString(type, 'type');
  if (typeof code === 'function') {
    ctor = code;
    code = '';
  } else if (code !== undefined) {
    validateString(code, 'code');
  }
  if (typeof warning === 'string') {
    warning = createWarning(warning, type, code, ctor || emitWarning, detail);
  } else if (!(warning instanceof Error)) {
    throw new codes.ERR_INVALID_ARG_TYPE('warning', ['Error', 'string'], warning);
  }
  if (warning.name === 'DeprecationWarning') {
    if (process.noDeprecation) return;
    if (process.throwDeprecation) {
      // Thrown from a tick, so that nobody on the way catches it.
      return process.nextTick(() => { throw warning; });
    }
  }
  process.nextTick(() => process.emit('warning', warning));
};

function createWarning(message, type, code, ctor, detail) {
  const warning = new Error(message);
  warning.name = String(type || 'Warning');
  if (code !== undefined) warning.code = code;
  if (detail !== undefined) warning.detail = detail;
  Error.captureStackTrace(warning, ctor);
  return warning;
}

// The standard streams: what writes at once, as Node does to files and pipes.

class Output extends EventEmitter {
  // Why nothing can be written any more, and whether nobody has been told of it.
  #error = null;
  #isUntold = false;

  constructor(fd) {
    super();
    this.fd = fd;
    this.writable = true;
    this.isTTY = undefined;
    this.columns = undefined;
  }

  write(chunk, encoding, callback) {
    if (typeof encoding === 'function') callback = encoding;
    const text = typeof chunk === 'string' ? chunk : decode(chunk);
    const errno = this.#error === null ? native.write(this.fd, text) : 0;
    if (errno !== 0) this.#fail(errno);
    else if (this.#isUntold) this.#failAgain();
    if (typeof callback === 'function') process.nextTick(callback, this.#error);
    return true;
  }

  // Nobody reads any more, or the disk is full: an event, and as such the end of a program that does not listen.
  // As on Node it is silent if `console` was the one that wrote, and nobody listens; until something is written again.
  #fail(errno) {
    this.#error = require('internal/io_errors').socketError(errno, 'write');
    const isQuiet = logged.stream === this;
    process.nextTick(() => {
      if (isQuiet && this.listenerCount('error') === 0) this.#isUntold = true;
      else this.emit('error', this.#error);
    });
  }

  #failAgain() {
    this.#isUntold = false;
    process.nextTick(() => this.emit('error', this.#error));
  }

  end(chunk, encoding, callback) {
    if (typeof chunk === 'function') callback = chunk;
    else if (chunk != null) this.write(chunk, encoding);
    if (typeof callback === 'function') process.nextTick(callback);
    return this;
  }

  cork() {}
  uncork() {}
}

function decode(bytes) {
  if (!ArrayBuffer.isView(bytes)) {
    if (bytes === null) throw require('internal/io_errors').codedError('ERR_STREAM_NULL_VALUES', 'May not write null values to stream', TypeError);
    throw new codes.ERR_INVALID_ARG_TYPE('chunk', ['string', 'Buffer', 'TypedArray', 'DataView'], bytes);
  }
  return require('buffer').Buffer.from(bytes).toString();
}

for (const [name, fd] of [['stdout', 1], ['stderr', 2]]) {
  let stream;
  Object.defineProperty(process, name, {
    configurable: true,
    enumerable: true,
    get() { return stream ??= new Output(fd); },
    set(value) { stream = value; },
  });
}
