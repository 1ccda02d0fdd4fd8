// The global `console`: what is printed is what `util.inspect` makes of it.
'use strict';

const { formatWithOptions, inspect } = require('internal/inspect');
const logged = require('internal/logged');

class Console {
  #stdout;
  #stderr;
  #indentation = '';
  #counts = new Map();
  #times = new Map();

  constructor(stdout, stderr = stdout) {
    if (stdout !== null && typeof stdout === 'object' && typeof stdout.write !== 'function') {
      ({ stdout, stderr = stdout } = stdout);
    }
    this.#stdout = stdout;
    this.#stderr = stderr;
    // Each may be taken off the object and called alone.
    for (const name of Object.getOwnPropertyNames(Console.prototype)) {
      if (name !== 'constructor') {
        const method = this[name].bind(this);
        Object.defineProperty(method, 'name', { value: name });
        Object.defineProperty(this, name, { value: method, enumerable: true, configurable: true, writable: true });
      }
    }
  }

  // The streams of `process` are asked for each time: programs replace their `write`.
  #write(toError, text) {
    if (this.#indentation !== '') text = this.#indentation + text.replaceAll('\n', `\n${this.#indentation}`);
    const stream = toError ? this.#stderr ?? process.stderr : this.#stdout ?? process.stdout;
    // What the stream does may print too.
    const before = logged.stream;
    logged.stream = stream;
    try {
      stream.write(`${text}\n`);
    } finally {
      logged.stream = before;
    }
  }

  log(...args) { this.#write(false, formatWithOptions({}, ...args)); }
  info(...args) { this.#write(false, formatWithOptions({}, ...args)); }
  debug(...args) { this.#write(false, formatWithOptions({}, ...args)); }
  warn(...args) { this.#write(true, formatWithOptions({}, ...args)); }
  error(...args) { this.#write(true, formatWithOptions({}, ...args)); }

  dir(value, options) { this.#write(false, inspect(value, { customInspect: false, ...options })); }
  dirxml(...args) { this.log(...args); }

  trace(...args) {
    const error = { name: 'Trace', message: formatWithOptions({}, ...args) };
    Error.captureStackTrace(error, this.trace);
    const text = String(error.stack);
    const frames = text.slice(text.indexOf('\n    at ') + 1);
    this.error(`Trace${error.message === '' ? '' : `: ${error.message}`}\n${frames}`);
  }

  assert(condition, ...args) {
    if (condition) return;
    if (typeof args[0] === 'string') args[0] = `Assertion failed: ${args[0]}`;
    else args.unshift('Assertion failed');
    this.warn(...args);
  }

  count(label = 'default') {
    label = `${label}`;
    const count = (this.#counts.get(label) ?? 0) + 1;
    this.#counts.set(label, count);
    this.log(`${label}: ${count}`);
  }

  countReset(label = 'default') {
    label = `${label}`;
    if (!this.#counts.delete(label)) process.emitWarning(`Count for '${label}' does not exist`);
  }

  time(label = 'default') {
    label = `${label}`;
    if (this.#times.has(label)) process.emitWarning(`Label '${label}' already exists for console.time()`);
    else this.#times.set(label, process.hrtime());
  }

  timeEnd(label = 'default') {
    if (this.#logTime('timeEnd', label)) this.#times.delete(`${label}`);
  }

  timeLog(label = 'default', ...args) { this.#logTime('timeLog', label, args); }

  #logTime(method, label, args = []) {
    label = `${label}`;
    const began = this.#times.get(label);
    if (began === undefined) {
      process.emitWarning(`No such label '${label}' for console.${method}()`);
      return false;
    }
    const [seconds, nanoseconds] = process.hrtime(began);
    const ms = seconds * 1000 + nanoseconds / 1e6;
    this.log('%s: %s', label, ms >= 1000 ? `${(ms / 1000).toFixed(3)}s` : `${Number(ms.toFixed(3))}ms`, ...args);
    return true;
  }

  group(...args) {
    if (args.length > 0) this.log(...args);
    this.#indentation += '  ';
  }

  groupCollapsed(...args) { this.group(...args); }
  groupEnd() { this.#indentation = this.#indentation.slice(2); }

  table(data, columns) {
    if (data === null || typeof data !== 'object') return this.log(data);
    this.log(require('internal/table')(data, columns));
  }
}

const global = new Console(undefined, undefined);
Object.defineProperty(global, 'Console', { value: Console, configurable: true, writable: true });
Object.defineProperty(global, Symbol.toStringTag, { value: 'console', configurable: true });

module.exports = global;
