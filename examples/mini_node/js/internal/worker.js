// The class Worker, as its parent has it.
'use strict';

const EventEmitter = require('events');
const native = internalBinding('worker');
const { adopt, send, transferListOf } = require('internal/messaging');
const { codes, define } = require('internal/errors');
const { readError } = require('internal/worker_errors');
const { ReadableStdio, WritableStdio } = require('internal/worker_stdio');
const { validateObject, validateString } = require('internal/validators');
const cwd = require('internal/cwd');
const { absolute } = internalBinding('module');
const { refused: refusedOptions } = internalBinding('options');

define('ERR_WORKER_PATH', (path) =>
  'The worker script or module filename must be an absolute path or a relative path starting with ' +
  `'./' or '../'.${/^(file|data):/.test(path) ? ` Wrap ${path.slice(0, 5)}// URLs with \`new URL\`.`.replace('data://', 'data:') : ''} ` +
  `Received "${path}"`, TypeError);
define('ERR_WORKER_OUT_OF_MEMORY', (why) =>
  `Worker terminated due to reaching memory limit: ${why}`);
define('ERR_WORKER_INIT_FAILED', (why) => `Worker initialization failure: ${why}`);
define('ERR_WORKER_INVALID_EXEC_ARGV', (bad) =>
  `Initiated Worker with invalid execArgv flags: ${bad.join(', ')}`);
define('ERR_WORKER_NOT_RUNNING', () => 'Worker instance not running');
define('ERR_WORKER_PANICKED', (why) => `Worker ended by a panic of its host: ${why}`);
define('ERR_WORKER_UNSUPPORTED_OPTION', (what) => `${what} is not supported by mini_node`);

const SHARE_ENV = Symbol.for('nodejs.worker_threads.SHARE_ENV');

// Bytes in what options call a megabyte.
const MEBIBYTE = 1024 * 1024;

// What setEnvironmentData has set. Each worker begins with a clone of its parent's.
let environmentData = new Map();

function setEnvironmentData(key, value) {
  if (value === undefined) environmentData.delete(key);
  else environmentData.set(key, value);
}

function getEnvironmentData(key) { return environmentData.get(key); }

// The path of a worker's script.
function pathOf(filename) {
  if (typeof filename === 'object' && filename !== null && typeof filename.href === 'string') {
    if (filename.protocol !== 'file:') {
      const error = new TypeError('The URL must be of scheme file');
      error.code = 'ERR_INVALID_URL_SCHEME';
      throw error;
    }
    return decodeURIComponent(filename.pathname);
  }
  if (typeof filename !== 'string') {
    throw new codes.ERR_INVALID_ARG_TYPE('filename', ['string', 'URL'], filename);
  }
  if (filename.startsWith('/')) return filename;
  if (/^\.\.?\//.test(filename)) return absolute(filename, process.cwd());
  throw new codes.ERR_WORKER_PATH(filename);
}

function environmentOf(options) {
  const { env } = options;
  if (env === SHARE_ENV) throw new codes.ERR_WORKER_UNSUPPORTED_OPTION('SHARE_ENV');
  if (typeof env !== 'object' && env !== undefined) {
    throw new codes.ERR_INVALID_ARG_TYPE(
      'options.env', ['object', 'undefined', 'null', 'worker_threads.SHARE_ENV'], env);
  }
  const copy = {};
  for (const [name, value] of Object.entries(env ?? process.env)) copy[name] = `${value}`;
  return copy;
}

// The limits as the program gave them, and -1 for what it left to the engine.
function limitsOf(options) {
  const given = typeof options.resourceLimits === 'object' ? options.resourceLimits ?? {} : {};
  const number = (name, otherwise) => (typeof given[name] === 'number' ? given[name] : otherwise);
  return {
    maxYoungGenerationSizeMb: number('maxYoungGenerationSizeMb', -1),
    maxOldGenerationSizeMb: number('maxOldGenerationSizeMb', -1),
    codeRangeSizeMb: number('codeRangeSizeMb', -1),
    stackSizeMb: number('stackSizeMb', 4),
  };
}

// In bytes, for the whole heap: the engine has no generations. Undefined for no limit.
function memoryLimitOf({ maxYoungGenerationSizeMb, maxOldGenerationSizeMb }) {
  if (maxOldGenerationSizeMb <= 0) return undefined;
  return (maxOldGenerationSizeMb + Math.max(0, maxYoungGenerationSizeMb)) * MEBIBYTE;
}

class Worker extends EventEmitter {
  // The worker's id. Undefined once it has exited.
  #id;
  #limits;
  #stdin = null;
  #stdout;
  #stderr;
  // The port for the standard streams.
  #streams;
  // The program wants the worker to keep it alive.
  #isRef = true;

  constructor(filename, options = {}) {
    super();
    options ??= {};
    if (options.execArgv && !Array.isArray(options.execArgv)) {
      throw new codes.ERR_INVALID_ARG_TYPE('options.execArgv', 'Array', options.execArgv);
    }
    const execArgv = options.execArgv ? options.execArgv.map(String) : undefined;
    const refused = execArgv === undefined ? [] : refusedOptions(execArgv);
    if (refused.length > 0) throw new codes.ERR_WORKER_INVALID_EXEC_ARGV(refused);
    if (options.argv && !Array.isArray(options.argv)) {
      throw new codes.ERR_INVALID_ARG_TYPE('options.argv', 'Array', options.argv);
    }
    if (options.eval && typeof filename !== 'string') {
      throw new codes.ERR_INVALID_ARG_VALUE(
        'options.eval', options.eval, "must be false when 'filename' is not a string");
    }
    const path = options.eval ? undefined : pathOf(filename);
    const env = environmentOf(options);
    if (options.name) validateString(options.name, 'options.name');
    this.#limits = limitsOf(options);
    const said = {
      path,
      source: options.eval ? filename : undefined,
      argv: (options.argv || []).map((value) => String(value)),
      env,
      workerData: options.workerData,
      environmentData,
      resourceLimits: this.#limits,
      hasStdin: Boolean(options.stdin),
      cwdCounter: cwd.counter,
      tracksDescriptors: Boolean(options.trackUnmanagedFds ?? true),
      name: options.name,
    };
    const settings = {
      name: options.name || undefined,
      memoryLimit: memoryLimitOf(this.#limits),
      execArgv,
      deliver: (data, ports, error) => this.#delivered(data, error),
      notify: (what, detail) => this.#notified(what, detail),
    };
    const list = transferListOf(options.transferList);
    const start = (_, ...rest) => native.spawn(settings, ...rest);
    const [id, streams] = send(start, 0, said, list, undefined);
    this.#id = id;
    this.#listenToStreams(adopt(streams), options);
    // A listener for messages holds the program as the worker does, though it was unref'd.
    super.on('newListener', (name) => {
      if (name === 'message' && this.listenerCount('message') === 0) native.setRef(this.#id ?? -1, true);
    });
    super.on('removeListener', (name) => {
      if (name === 'message' && this.listenerCount('message') === 0) native.setRef(this.#id ?? -1, this.#isRef);
    });
    process.nextTick(() => process.emit('worker', this));
  }

  #listenToStreams(port, options) {
    this.#streams = port;
    this.#stdout = new ReadableStdio();
    this.#stderr = new ReadableStdio();
    if (!options.stdout) this.#stdout.passTo(() => process.stdout);
    if (!options.stderr) this.#stderr.passTo(() => process.stderr);
    if (options.stdin) this.#stdin = new WritableStdio(port, 0);
    port.on('message', (message) => this.#heard(message));
    port.unref();
  }

  // Something that the worker has printed, or an error behind which it goes on for a while.
  #heard([what, detail]) {
    if (what === 'error') this.#failed(readError(detail));
    else (what === 1 ? this.#stdout : this.#stderr).push(detail);
  }

  #delivered(data, error) {
    if (error === undefined) this.#emitAsPort('message', data);
    else this.#emitAsPort('messageerror', error);
  }

  // What a listener throws is thrown again from a tick, as with all listeners of a port: in Node
  // these events come by ports.
  #emitAsPort(name, ...values) {
    try {
      this.emit(name, ...values);
    } catch (thrown) {
      process.nextTick(() => { throw thrown; });
    }
  }

  #notified(what, detail) {
    switch (what) {
      case 'online':
        return this.#emitAsPort('online');
      case 'error':
        return this.#failed(readError(detail));
      case 'memory':
        return this.#failed(new codes.ERR_WORKER_OUT_OF_MEMORY('JS heap out of memory'));
      case 'failure':
        return this.#failed(new codes.ERR_WORKER_PANICKED(detail));
      case 'exit':
        return this.#exited(detail);
      default:
        throw new Error(`a worker tells of ${what}`);
    }
  }

  #failed(error) {
    this.#drainStreams();
    this.#emitAsPort('error', error);
  }

  #exited(code) {
    this.#drainStreams();
    this.#streams.close();
    this.#id = undefined;
    this.#stdout.push(null);
    this.#stderr.push(null);
    this.emit('exit', code);
  }

  #drainStreams() {
    const { receiveMessageOnPort } = require('internal/messaging');
    for (let got; (got = receiveMessageOnPort(this.#streams)) !== undefined;) this.#heard(got.message);
  }

  postMessage(value, options) {
    if (arguments.length === 0) {
      const error = new TypeError('Not enough arguments to MessagePort.postMessage');
      error.code = 'ERR_MISSING_ARGS';
      throw error;
    }
    const isLost = send(native.post, this.#id ?? -1, value, transferListOf(options), undefined);
    if (isLost) {
      process.emitWarning('The target port was posted to itself, and the communication channel was lost');
    }
  }

  terminate(callback) {
    if (typeof callback === 'function') {
      process.emitWarning('Passing a callback to worker.terminate() is deprecated. ' +
        'It returns a Promise instead.', 'DeprecationWarning', 'DEP0132');
      if (this.#id === undefined) return Promise.resolve();
      this.once('exit', (code) => callback(null, code));
    }
    if (this.#id === undefined) return Promise.resolve();
    this.ref();
    native.terminate(this.#id);
    return new Promise((resolve) => { this.once('exit', resolve); });
  }

  ref() {
    this.#isRef = true;
    if (this.#id !== undefined) native.setRef(this.#id, true);
  }

  unref() {
    this.#isRef = false;
    if (this.#id !== undefined) native.setRef(this.#id, false);
  }

  get threadId() { return this.#id ?? -1; }
  get stdin() { return this.#stdin; }
  get stdout() { return this.#stdout; }
  get stderr() { return this.#stderr; }
  get resourceLimits() { return this.#id === undefined ? {} : this.#limits; }

  // There is no snapshot of a heap here, and who asks for one in vain is told so as on Node.
  getHeapSnapshot(options = {}) {
    validateObject(options, 'options');
    return Promise.reject(this.#id === undefined ? new codes.ERR_WORKER_NOT_RUNNING() :
      new codes.ERR_WORKER_UNSUPPORTED_OPTION('getHeapSnapshot'));
  }
}

module.exports = {
  SHARE_ENV,
  Worker,
  getEnvironmentData,
  setAllEnvironmentData(map) { environmentData = map; },
  setEnvironmentData,
};
