// `assert`: what must be so, or an AssertionError.
'use strict';

const { AssertionError } = require('internal/assertion_error');
const { codes } = require('internal/errors');
const { inspect } = require('internal/inspect');
const { isDeepEqual, isDeepStrictEqual } = require('internal/comparisons');
const types = require('internal/types');
const { validateFunction } = require('internal/validators');

// The caller's own error goes before ours.
function fail(details) {
  if (details.message instanceof Error) throw details.message;
  throw new AssertionError(details);
}

function innerOk(stackStartFn, count, value, message) {
  if (value) return;
  let isGenerated = false;
  if (count === 0) {
    isGenerated = true;
    message = 'No value argument passed to `assert.ok()`';
  } else if (message == null) {
    isGenerated = true;
    message = 'The expression evaluated to a falsy value:\n\n  ' +
      `${stackStartFn === assert ? 'assert' : `assert.${stackStartFn.name}`}(${inspect(value)})\n`;
  } else if (message instanceof Error) {
    throw message;
  }
  const error = new AssertionError({ actual: value, expected: true, message, operator: '==', stackStartFn });
  error.generatedMessage = isGenerated;
  throw error;
}

function assert(...args) { innerOk(assert, args.length, ...args); }
function ok(...args) { innerOk(ok, args.length, ...args); }
assert.ok = ok;
assert.AssertionError = AssertionError;

assert.fail = function fail(message) {
  if (message instanceof Error) throw message;
  const error = new AssertionError({
    message: message === undefined ? 'Failed' : message, operator: 'fail', stackStartFn: fail,
  });
  error.generatedMessage = message === undefined;
  throw error;
};

// Comparisons of two values.
function compare(name, holds, operator = name) {
  assert[name] = { [name](actual, expected, message) {
    if (arguments.length < 2) throw new codes.ERR_MISSING_ARGS('actual', 'expected');
    if (!holds(actual, expected)) fail({ actual, expected, message, operator, stackStartFn: assert[name] });
  } }[name];
}

// eslint-disable-next-line eqeqeq
const looselyEqual = (left, right) => left == right || (Number.isNaN(left) && Number.isNaN(right));
compare('equal', looselyEqual, '==');
compare('notEqual', (left, right) => !looselyEqual(left, right), '!=');
compare('strictEqual', Object.is);
compare('notStrictEqual', (left, right) => !Object.is(left, right));
compare('deepEqual', isDeepEqual);
compare('notDeepEqual', (left, right) => !isDeepEqual(left, right));
compare('deepStrictEqual', isDeepStrictEqual);
compare('notDeepStrictEqual', (left, right) => !isDeepStrictEqual(left, right));

// Functions that throw, promises that are rejected.

const NONE = Symbol('nothing was thrown');

function thrownBy(f) {
  validateFunction(f, 'fn');
  try {
    f();
  } catch (error) {
    return error;
  }
  return NONE;
}

async function rejectionOf(subject) {
  let promise = subject;
  if (typeof subject === 'function') {
    promise = subject();
    if (!isThenable(promise)) {
      throw new codes.ERR_INVALID_RETURN_VALUE('instance of Promise', 'promiseFn', promise);
    }
  } else if (!isThenable(subject)) {
    throw new codes.ERR_INVALID_ARG_TYPE('promiseFn', ['Function', 'Promise'], subject);
  }
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return NONE;
}

function isThenable(value) {
  return types.isPromise(value) || (value !== null && typeof value === 'object' &&
    typeof value.then === 'function' && typeof value.catch === 'function');
}

function expectError(start, actual, expected, message) {
  if (typeof expected === 'string') {
    if (message !== undefined) {
      throw new codes.ERR_INVALID_ARG_TYPE('error', ['Object', 'Error', 'Function', 'RegExp'], expected);
    }
    const text = typeof actual === 'object' && actual !== null ? actual.message : actual;
    if (text === expected) {
      throw new codes.ERR_AMBIGUOUS_ARGUMENT('error/message', typeof actual === 'object' && actual !== null ?
        `The error message "${text}" is identical to the message.` :
        `The error "${text}" is identical to the message.`);
    }
    message = expected;
    expected = undefined;
  } else if (expected != null && typeof expected !== 'object' && typeof expected !== 'function') {
    throw new codes.ERR_INVALID_ARG_TYPE('error', ['Object', 'Error', 'Function', 'RegExp'], expected);
  }
  if (actual === NONE) {
    let details = '';
    if (expected?.name) details += ` (${expected.name})`;
    details += message ? `: ${message}` : '.';
    const what = start === assert.rejects ? 'rejection' : 'exception';
    fail({
      actual: undefined, expected, operator: start.name, stackStartFn: start,
      message: message instanceof Error ? message : `Missing expected ${what}${details}`,
    });
  }
  if (expected !== undefined && expected !== null) matchError(start, actual, expected, message);
}

function matchError(start, actual, expected, message) {
  const mismatch = (text, generated = true) => {
    if (message instanceof Error) throw message;
    const error = new AssertionError({ actual, expected, message: message ?? text, operator: start.name, stackStartFn: start });
    error.generatedMessage = message === undefined && generated;
    throw error;
  };
  if (types.isRegExp(expected)) {
    if (!expected.test(String(actual))) {
      mismatch(`The input did not match the regular expression ${inspect(expected)}. Input:\n\n${inspect(String(actual))}\n`);
    }
    return;
  }
  if (typeof expected === 'object') return matchObject(start, actual, expected, message);
  if (expected.prototype !== undefined && actual instanceof expected) return;
  if (expected === Error || Object.prototype.isPrototypeOf.call(Error, expected)) {
    let text = `The error is expected to be an instance of "${expected.name}". Received `;
    if (actual instanceof Error) text += `"${actual.constructor?.name ?? actual.name}"\n\nError message:\n\n${actual.message}`;
    else text += `"${inspect(actual, { depth: -1 })}"`;
    mismatch(text);
  }
  const result = Reflect.apply(expected, {}, [actual]);
  if (result !== true) {
    const name = expected.name ? `"${expected.name}" ` : '';
    mismatch(`The ${name}validation function is expected to return "true". Received ${inspect(result)}` +
      (actual instanceof Error ? `\n\nCaught error:\n\n${actual}` : ''));
  }
}

// Each property of the expectation must be that of the error.
function matchObject(start, actual, expected, message) {
  if (typeof actual !== 'object' || actual === null) {
    fail({ actual, expected, message, operator: 'deepStrictEqual', stackStartFn: start });
  }
  const keys = Object.keys(expected);
  if (expected instanceof Error) keys.push('name', 'message');
  else if (keys.length === 0) throw new codes.ERR_INVALID_ARG_VALUE('error', expected, 'may not be an empty object');
  for (const key of keys) {
    if (typeof actual[key] === 'string' && types.isRegExp(expected[key]) && expected[key].test(actual[key])) continue;
    if (key in actual && isDeepStrictEqual(actual[key], expected[key])) continue;
    // What is shown is no more than what is compared.
    const pick = (value) => Object.fromEntries(keys.filter((name) => name in value).map((name) => [name,
      types.isRegExp(expected[name]) && typeof actual[name] === 'string' && expected[name].test(actual[name]) ?
        actual[name] : value[name]]));
    if (message instanceof Error) throw message;
    const error = new AssertionError({
      actual: pick(actual), expected: pick(expected), operator: 'deepStrictEqual', stackStartFn: start, message,
    });
    error.actual = actual;
    error.expected = expected;
    error.operator = start.name;
    throw error;
  }
}

function unexpectError(start, actual, expected, message) {
  if (actual === NONE) return;
  if (typeof expected === 'string') {
    message = expected;
    expected = undefined;
  }
  if (expected === undefined || isExpected(actual, expected)) {
    const details = message ? `: ${message}` : '.';
    const what = start === assert.doesNotReject ? 'rejection' : 'exception';
    fail({
      actual, expected, operator: start.name, stackStartFn: start,
      message: message instanceof Error ? message :
        `Got unwanted ${what}${details}\nActual message: "${actual?.message}"`,
    });
  }
  throw actual;
}

function isExpected(actual, expected) {
  if (types.isRegExp(expected)) return expected.test(String(actual));
  if (typeof expected !== 'function') {
    throw new codes.ERR_INVALID_ARG_TYPE('expected', ['Function', 'RegExp'], expected);
  }
  if (expected.prototype !== undefined && actual instanceof expected) return true;
  if (Object.prototype.isPrototypeOf.call(Error, expected)) return false;
  return Reflect.apply(expected, {}, [actual]) === true;
}

assert.throws = function throws(f, ...args) { expectError(throws, thrownBy(f), ...args); };
assert.doesNotThrow = function doesNotThrow(f, ...args) { unexpectError(doesNotThrow, thrownBy(f), ...args); };
assert.rejects = async function rejects(subject, ...args) { expectError(rejects, await rejectionOf(subject), ...args); };
assert.doesNotReject = async function doesNotReject(subject, ...args) {
  unexpectError(doesNotReject, await rejectionOf(subject), ...args);
};

assert.ifError = function ifError(value) {
  if (value === null || value === undefined) return;
  const text = typeof value === 'object' && typeof value.message === 'string' ?
    value.message || value.constructor?.name : inspect(value);
  throw new AssertionError({
    actual: value, expected: null, operator: 'ifError', stackStartFn: ifError,
    message: `ifError got unwanted exception: ${text}`,
  });
};

function matcher(name, holds, words) {
  assert[name] = { [name](text, pattern, message) {
    if (!types.isRegExp(pattern)) throw new codes.ERR_INVALID_ARG_TYPE('regexp', 'RegExp', pattern);
    if (typeof text === 'string' && holds(pattern.test(text))) return;
    if (message instanceof Error) throw message;
    const isGenerated = !message;
    message ||= typeof text !== 'string' ?
      'The "string" argument must be of type string. Received type ' + `${typeof text} (${inspect(text)})` :
      `${words} ${inspect(pattern)}. Input:\n\n${inspect(text)}\n`;
    const error = new AssertionError({ actual: text, expected: pattern, message, operator: name, stackStartFn: assert[name] });
    error.generatedMessage = isGenerated;
    throw error;
  } }[name];
}
matcher('match', (isMatch) => isMatch, 'The input did not match the regular expression');
matcher('doesNotMatch', (isMatch) => !isMatch, 'The input was expected to not match the regular expression');

function strict(...args) { innerOk(strict, args.length, ...args); }
assert.strict = Object.assign(strict, assert, {
  equal: assert.strictEqual,
  deepEqual: assert.deepStrictEqual,
  notEqual: assert.notStrictEqual,
  notDeepEqual: assert.notDeepStrictEqual,
});
assert.strict.strict = assert.strict;

module.exports = assert;
