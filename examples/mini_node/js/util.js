// What programs use of `util`.
'use strict';

const deprecate = require('internal/deprecate');
const { codes } = require('internal/errors');
const { format, formatWithOptions, inspect } = require('internal/inspect');
const { stripColors } = require('internal/colors');
const { customPromisify } = require('internal/symbols');
const { isDeepStrictEqual } = require('internal/comparisons');
const types = require('internal/types');
const { validateFunction, validateNumber, validateString } = require('internal/validators');

// The names of the results of functions whose callback gets several.
const kArguments = Symbol('customPromisifyArgs');

function promisify(original) {
  validateFunction(original, 'original');
  const custom = original[customPromisify];
  if (custom) {
    validateFunction(custom, 'util.promisify.custom');
    return Object.defineProperty(custom, customPromisify, {
      value: custom, enumerable: false, writable: false, configurable: true,
    });
  }
  const names = original[kArguments];
  function promised(...args) {
    return new Promise((resolve, reject) => {
      original.call(this, ...args, (error, ...values) => {
        if (error) return reject(error);
        if (names !== undefined && values.length > 1) {
          return resolve(Object.fromEntries(names.map((name, index) => [name, values[index]])));
        }
        return resolve(values[0]);
      });
    });
  }
  Object.setPrototypeOf(promised, Object.getPrototypeOf(original));
  Object.defineProperty(promised, customPromisify, {
    value: promised, enumerable: false, writable: false, configurable: true,
  });
  const descriptors = Object.getOwnPropertyDescriptors(original);
  for (const key of Reflect.ownKeys(descriptors)) {
    // A function's own `prototype` cannot be redefined.
    if (key !== 'prototype') Object.defineProperty(promised, key, descriptors[key]);
  }
  return promised;
}
promisify.custom = customPromisify;

function callbackify(original) {
  validateFunction(original, 'original');
  function callbackified(...args) {
    const callback = args.pop();
    validateFunction(callback, 'last argument');
    Reflect.apply(original, this, args).then(
      (value) => process.nextTick(() => callback.call(this, null, value)),
      (reason) => process.nextTick(() => callback.call(this, asError(reason))),
    );
  }
  const descriptors = Object.getOwnPropertyDescriptors(original);
  if (typeof descriptors.length.value === 'number') descriptors.length.value++;
  if (typeof descriptors.name.value === 'string') descriptors.name.value += 'Callbackified';
  for (const key of Reflect.ownKeys(descriptors)) {
    if (key !== 'prototype') Object.defineProperty(callbackified, key, descriptors[key]);
  }
  return callbackified;
}

// A callback must be able to see that there was a failure.
function asError(reason) {
  if (reason) return reason;
  const error = new codes.ERR_FALSY_VALUE_REJECTION();
  error.reason = reason;
  return error;
}

function inherits(constructor, superConstructor) {
  if (constructor === undefined || constructor === null) throw new codes.ERR_INVALID_ARG_TYPE('ctor', 'Function', constructor);
  if (superConstructor === undefined || superConstructor === null) {
    throw new codes.ERR_INVALID_ARG_TYPE('superCtor', 'Function', superConstructor);
  }
  if (superConstructor.prototype === undefined) {
    throw new codes.ERR_INVALID_ARG_TYPE('superCtor.prototype', 'Object', superConstructor.prototype);
  }
  Object.defineProperty(constructor, 'super_', { value: superConstructor, writable: true, configurable: true });
  Object.setPrototypeOf(constructor.prototype, superConstructor.prototype);
}

function getSystemErrorName(number) {
  validateNumber(number, 'err');
  if (number >= 0 || !Number.isSafeInteger(number)) throw new codes.ERR_OUT_OF_RANGE('err', 'a negative integer', number);
  return ERRNO.nameOf(number);
}

function stripVTControlCharacters(text) {
  validateString(text, 'str');
  return stripColors(text);
}

function debuglog(set) {
  const isEnabled = new RegExp(`(^|,)${`${set}`.replace(/[^\w-]/g, '')}(,|$)`, 'i').test(process.env.NODE_DEBUG ?? '');
  const log = isEnabled ?
    (...args) => process.stderr.write(`${set.toUpperCase()} ${process.pid}: ${format(...args)}\n`) : () => {};
  log.enabled = isEnabled;
  return log;
}

// util.aborted: the end of a signal, as long as the resource is there.
async function aborted(signal, resource) {
  if (signal === undefined) throw new codes.ERR_INVALID_ARG_TYPE('signal', 'AbortSignal', signal);
  require('internal/validators').validateAbortSignal(signal, 'signal');
  require('internal/validators').validateObject(resource, 'resource');
  if (signal.aborted) return undefined;
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

const ERRNO = require('internal/errno');

module.exports = {
  _extend: (target, source) => (source !== null && typeof source === 'object' ? Object.assign(target, source) : target),
  aborted,
  callbackify,
  debug: debuglog,
  debuglog,
  deprecate,
  format,
  formatWithOptions,
  getSystemErrorName,
  inherits,
  inspect,
  isArray: Array.isArray,
  isDeepStrictEqual,
  promisify,
  stripVTControlCharacters,
  toUSVString: (text) => `${text}`.toWellFormed(),
  types,
  kArguments,
};

Object.defineProperty(module.exports, 'kArguments', { enumerable: false });
for (const name of ['TextEncoder', 'TextDecoder']) {
  Object.defineProperty(module.exports, name, { enumerable: true, configurable: true, get: () => require('internal/encoding')[name] });
}
