// Errors with Node's codes and words.
'use strict';

const { inspect } = lazy('internal/inspect');

// A module that is loaded at the first use of what it exports, for it needs this one.
function lazy(id) {
  return new Proxy({}, { get: (_, name) => (...args) => require(id)[name](...args) });
}

// From a code to what makes the message of its error, and the class of it.
const makers = new Map();

// Classes of errors by their codes.
const codes = {};

function define(code, makeMessage, Base = Error) {
  makers.set(code, makeMessage);
  codes[code] = class NodeError extends Base {
    constructor(...args) {
      super(makeMessage(...args));
      Object.defineProperty(this, 'toString', {
        value() { return `${this.name} [${code}]: ${this.message}`; },
        configurable: true,
        enumerable: false,
        writable: true,
      });
      this.code = code;
      withCode(this, code);
    }
  };
  // Programs see a TypeError that is like any other.
  Object.defineProperty(codes[code], 'name', { value: Base.name });
  Object.defineProperty(codes[code].prototype, 'constructor', {
    value: Base,
    configurable: true,
    enumerable: false,
    writable: true,
  });
}

// Puts the code into the first line of an error's stack, as Node has it.
function withCode(error, code) {
  const stack = error.stack;
  const name = error.name;
  if (typeof stack === 'string' && stack.startsWith(name)) {
    setStack(error, `${name} [${code}]${stack.slice(name.length)}`);
  }
}

function setStack(error, stack) {
  Object.defineProperty(error, 'stack', {
    value: stack,
    configurable: true,
    enumerable: false,
    writable: true,
  });
}

// The names of types, as against those of classes.
const TYPES = [
  'string', 'function', 'number', 'object', 'Function', 'Object', 'boolean', 'bigint', 'symbol',
];

function list(words, before) {
  if (words.length === 1) return before + words[0];
  if (words.length === 2) return `${before}${words[0]} or ${words[1]}`;
  return `${before}${words.slice(0, -1).join(', ')}, or ${words[words.length - 1]}`;
}

function expectation(expected) {
  const wanted = Array.isArray(expected) ? expected : [expected];
  const types = [];
  const classes = [];
  const others = [];
  for (const value of wanted) {
    if (TYPES.includes(value)) types.push(value.toLowerCase());
    else if (/^([A-Z][a-z0-9]*)+$/.test(value)) classes.push(value);
    else others.push(value);
  }
  // `object` beside classes is one of them.
  const place = types.indexOf('object');
  if (classes.length > 0 && place !== -1) {
    types.splice(place, 1);
    classes.push('Object');
  }
  const parts = [];
  if (types.length > 0) {
    parts.push(list(types, types.length > 1 ? 'one of type ' : 'of type '));
  }
  if (classes.length > 0) parts.push(list(classes, 'an instance of '));
  if (others.length > 0) {
    if (others.length === 1) {
      parts.push(others[0].toLowerCase() === others[0] ? `${others[0]}` : `an ${others[0]}`);
    } else {
      parts.push(list(others, 'one of '));
    }
  }
  return parts.join(' or ');
}

// What was given in place of what was wanted.
function received(value) {
  if (value == null) return ` Received ${value}`;
  if (typeof value === 'function') return ` Received function ${value.name}`;
  if (typeof value === 'object') {
    if (value.constructor?.name) return ` Received an instance of ${value.constructor.name}`;
    return ` Received ${inspect(value, { depth: -1 })}`;
  }
  let text = inspect(value, { colors: false });
  if (text.length > 28) text = `${text.slice(0, 25)}...`;
  return ` Received type ${typeof value} (${text})`;
}

function whatOf(name) {
  if (name.endsWith(' argument')) return `The ${name}`;
  return `The "${name}" ${name.includes('.') ? 'property' : 'argument'}`;
}

define('ERR_INVALID_ARG_TYPE', (name, expected, actual) =>
  `${whatOf(name)} must be ${expectation(expected)}.${received(actual)}`, TypeError);

define('ERR_INVALID_ARG_VALUE', (name, value, reason = 'is invalid') => {
  let text = inspect(value);
  if (text.length > 128) text = `${text.slice(0, 128)}...`;
  return `The ${name.includes('.') ? 'property' : 'argument'} '${name}' ${reason}. Received ${text}`;
}, TypeError);

define('ERR_OUT_OF_RANGE', (name, range, value) => {
  let text;
  if (Number.isInteger(value) && Math.abs(value) > 2 ** 32) {
    text = withSeparators(String(value));
  } else if (typeof value === 'bigint') {
    text = String(value);
    if (value > 2n ** 32n || value < -(2n ** 32n)) text = withSeparators(text);
    text += 'n';
  } else {
    text = inspect(value);
  }
  return `The value of "${name}" is out of range. It must be ${range}. Received ${text}`;
}, RangeError);

function withSeparators(digits) {
  return digits.replace(/\B(?=(\d{3})+$)/g, '_');
}

define('ERR_INVALID_THIS', (type) => `Value of "this" must be of type ${type}`, TypeError);
define('ERR_ILLEGAL_CONSTRUCTOR', () => 'Illegal constructor', TypeError);
define('ERR_MISSING_ARGS', (...names) => {
  const words = names.map((name) =>
    (Array.isArray(name) ? name.map((n) => `"${n}"`).join(' or ') : `"${name}"`));
  const what = words.length === 1 ? words[0] :
    `${words.slice(0, -1).join(', ')}${words.length > 2 ? ',' : ''} and ${words.at(-1)}`;
  return `The ${what} argument${words.length === 1 ? '' : 's'} must be specified`;
}, TypeError);
define('ERR_INVALID_RETURN_VALUE', (wanted, name, value) => {
  const type = value?.constructor?.name ? `an instance of ${value.constructor.name}` :
    received(value).slice(' Received '.length);
  return `Expected ${wanted} to be returned from the "${name}" function but got ${type}.`;
}, TypeError);
define('ERR_AMBIGUOUS_ARGUMENT', (name, reason) =>
  `The "${name}" argument is ambiguous. ${reason}`, TypeError);
define('ERR_UNHANDLED_ERROR', (value) =>
  (value === undefined ? 'Unhandled error.' : `Unhandled error. (${value})`));
define('ERR_EVENT_RECURSION', (type) => `The event "${type}" is already being dispatched`);
define('ERR_UNCAUGHT_EXCEPTION_CAPTURE_ALREADY_SET', () =>
  '`process.setupUncaughtExceptionCapture()` was called while a capture callback was already active');
define('ERR_UNKNOWN_SIGNAL', (signal) => `Unknown signal: ${signal}`, TypeError);
define('ERR_UNKNOWN_BUILTIN_MODULE', (id) => `No such built-in module: ${id}`);
define('ERR_METHOD_NOT_IMPLEMENTED', (name) => `The ${name} method is not implemented`);
define('ERR_FALSY_VALUE_REJECTION', () => 'Promise was rejected with falsy value');
define('ERR_WORKER_UNSUPPORTED_OPERATION', (name) => `${name} is not supported in workers`, TypeError);

// An operation that was called off by a signal.
class AbortError extends Error {
  constructor(message = 'The operation was aborted', options = undefined) {
    super(message, options);
    this.code = 'ABORT_ERR';
    this.name = 'AbortError';
    const stack = this.stack;
    if (typeof stack === 'string') setStack(this, stack.replace(/^Error/, 'AbortError'));
  }
}

module.exports = { AbortError, codes, define, received, setStack };
