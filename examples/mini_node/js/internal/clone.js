// Structured clones: what JavaScript itself does best of them, and how Node words a refusal. The
// walk is native: see src/clone.
//
// All functions of the language are taken when this is loaded, so that a program that changes
// prototypes changes no clone.
'use strict';

const { DOMException } = require('internal/dom_exception');
const { codes, define } = require('internal/errors');

define('ERR_MISSING_TRANSFERABLE_IN_TRANSFER_LIST', () =>
  'Object that needs transfer was found in message but not listed in transferList', TypeError);

const dataCloneError = (message) => new DOMException(message, 'DataCloneError');

const uncurry = Function.prototype.bind.bind(Function.prototype.call);
const getter = (prototype, name) =>
  uncurry(Object.getOwnPropertyDescriptor(prototype, name).get);

const dateTime = uncurry(Date.prototype.getTime);
const mapForEach = uncurry(Map.prototype.forEach);
const mapSet = uncurry(Map.prototype.set);
const setForEach = uncurry(Set.prototype.forEach);
const setAdd = uncurry(Set.prototype.add);
const regexpSource = getter(RegExp.prototype, 'source');
const regexpFlags = getter(RegExp.prototype, 'flags');
const viewBuffer = getter(DataView.prototype, 'buffer');
const viewOffset = getter(DataView.prototype, 'byteOffset');
const viewLength = getter(DataView.prototype, 'byteLength');
const objectToString = Object.prototype.toString;
const functionToString = uncurry(Function.prototype.toString);
const symbolToString = uncurry(Symbol.prototype.toString);
const { defineProperty, getOwnPropertyDescriptor } = Object;

// The errors that keep their constructor.
const ERRORS = {
  __proto__: null,
  Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError,
};

const unboxers = [
  uncurry(Number.prototype.valueOf),
  uncurry(String.prototype.valueOf),
  uncurry(Boolean.prototype.valueOf),
  uncurry(BigInt.prototype.valueOf),
];

// Whether an object is a port is known where ports are made.
let isPort = () => false;

// The words of V8 for a value that has no clone.
function describe(value) {
  if (typeof value === 'symbol') {
    return symbolToString(value);
  }
  if (typeof value === 'function') {
    return functionToString(value);
  }
  if (value.toString === objectToString) {
    const { constructor } = value;
    if (typeof constructor === 'function' && constructor.name !== '') {
      return `#<${constructor.name}>`;
    }
  }
  return objectToString.call(value);
}

module.exports = {
  setIsPort(f) { isPort = f; },
  isPort: (object) => isPort(object),

  // Of a value, its parts.
  entries(map) {
    const items = [];
    mapForEach(map, (value, key) => { items[items.length] = key; items[items.length] = value; });
    return items;
  },
  values(set) {
    const items = [];
    setForEach(set, (value) => { items[items.length] = value; });
    return items;
  },
  time: (date) => dateTime(date),
  regexpParts: (regexp) => [regexpSource(regexp), regexpFlags(regexp)],
  viewParts(view) {
    try {
      return [viewBuffer(view), viewOffset(view), viewLength(view)];
    } catch {
      throw module.exports.detached();
    }
  },
  unbox(object) {
    for (const unboxer of unboxers) {
      try {
        return unboxer(object);
      } catch {
        // It is one of the others.
      }
    }
    return undefined;
  },
  errorParts(error) {
    const name = String(error.name);
    const message = getOwnPropertyDescriptor(error, 'message');
    const cause = getOwnPropertyDescriptor(error, 'cause');
    const { stack } = error;
    return [
      name in ERRORS ? name : 'Error',
      message && 'value' in message ? String(message.value) : undefined,
      typeof stack === 'string' ? stack : undefined,
      cause !== undefined && 'value' in cause,
      cause && cause.value,
    ];
  },

  // Of parts, a value.
  map: () => new Map(),
  mapSet(map, key, value) { mapSet(map, key, value); },
  set: () => new Set(),
  setAdd(set, value) { setAdd(set, value); },
  date: (time) => new Date(time),
  regexp: (source, flags) => new RegExp(source, flags),
  view: (buffer, offset, length) => new DataView(buffer, offset, length),
  box: (value) => Object(value),
  error(name, message, stack) {
    const error = message === undefined ? new ERRORS[name]() : new ERRORS[name](message);
    defineProperty(error, 'stack', {
      __proto__: null, value: stack, writable: true, enumerable: false, configurable: true,
    });
    return error;
  },
  setCause(error, cause) {
    defineProperty(error, 'cause', {
      __proto__: null, value: cause, writable: true, enumerable: false, configurable: true,
    });
  },

  // Of a value that cannot be sent, the error that says so.
  dataCloneError,
  refusal: (value) => dataCloneError(`${describe(value)} could not be cloned.`),
  detached: () => dataCloneError('An ArrayBuffer is detached and could not be cloned.'),
  notListed: () => new codes.ERR_MISSING_TRANSFERABLE_IN_TRANSFER_LIST(),
};
