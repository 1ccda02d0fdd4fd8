// `Promise.any`, for the engine's rejects with an error that says nothing. This is what the standard says, step by step.
'use strict';

const { setStack } = require('internal/errors');
const { asFunction } = require('internal/safe');

// A program may replace them.
const { AggregateError, Promise, TypeError } = globalThis;
const { defineProperty } = Object;
const toText = asFunction(Error.prototype.toString);
const callOf = asFunction(Function.prototype.call);

// A promise of the class C, with what settles it.
function capabilityOf(C) {
  const capability = { promise: undefined, resolve: undefined, reject: undefined };
  capability.promise = new C((resolve, reject) => {
    if (capability.resolve !== undefined || capability.reject !== undefined) {
      throw new TypeError('Promise executor has already been invoked with non-undefined arguments');
    }
    capability.resolve = resolve;
    capability.reject = reject;
  });
  if (typeof capability.resolve === 'function' && typeof capability.reject === 'function') return capability;
  throw new TypeError('Promise resolve or reject function is not callable');
}

function allRejected(errors) {
  const error = new AggregateError(errors, 'All promises were rejected');
  setStack(error, toText(error)); // As in V8, it is no line's fault.
  return error;
}

function perform(C, iterable, { resolve, reject }) {
  const resolveOne = C.resolve;
  if (typeof resolveOne !== 'function') throw new TypeError('Promise resolve or reject function is not callable');
  const errors = [];
  // The loop itself counts as one.
  let remaining = 1;
  let index = 0;
  for (const value of iterable) {
    const own = index++;
    errors[own] = undefined;
    const next = callOf(resolveOne, C, value);
    let isCalled = false;
    remaining++;
    next.then(resolve, (error) => {
      if (isCalled) return;
      isCalled = true;
      errors[own] = error;
      if (--remaining === 0) reject(allRejected(errors));
    });
  }
  if (--remaining === 0) throw allRejected(errors);
}

const { any } = {
  any(iterable) {
    if ((typeof this !== 'object' || this === null) && typeof this !== 'function') {
      throw new TypeError('Promise.any called on non-object');
    }
    const capability = capabilityOf(this);
    try {
      perform(this, iterable, capability);
    } catch (error) {
      capability.reject(error);
    }
    return capability.promise;
  },
};

module.exports = {
  install() {
    defineProperty(Promise, 'any', { value: any, writable: true, configurable: true, enumerable: false });
  },
};
