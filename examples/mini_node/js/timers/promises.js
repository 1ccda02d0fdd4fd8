// Timers as promises, which a signal can call off.
'use strict';

const timers = require('timers');
const { AbortError, codes } = require('internal/errors');
const { validateAbortSignal, validateBoolean, validateNumber, validateObject } = require('internal/validators');

// The error of wrong options is a rejection, as all else.
function check(options, delay) {
  try {
    if (delay !== undefined) validateNumber(delay, 'delay');
    validateObject(options, 'options');
    validateAbortSignal(options.signal, 'options.signal');
    if (options.ref !== undefined) validateBoolean(options.ref, 'options.ref');
  } catch (error) {
    return error;
  }
  return options.signal?.aborted ? new AbortError(undefined, { cause: options.signal.reason }) : undefined;
}

// A promise of what `arm` fires, and `disarm` calls off.
function later(arm, disarm, signal, isRefed) {
  return new Promise((resolve, reject) => {
    let onAbort;
    const armed = arm((value) => {
      if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
      resolve(value);
    });
    if (!isRefed) armed.unref();
    if (signal) {
      onAbort = () => {
        disarm(armed);
        reject(new AbortError(undefined, { cause: signal.reason }));
      };
      signal.addEventListener('abort', onAbort, { once: true });
    }
  });
}

function setTimeout(delay, value, options = {}) {
  const error = check(options, delay);
  if (error !== undefined) return Promise.reject(error);
  const { signal, ref = true } = options;
  return later((fire) => timers.setTimeout(() => fire(value), delay), timers.clearTimeout, signal, ref);
}

function setImmediate(value, options = {}) {
  const error = check(options);
  if (error !== undefined) return Promise.reject(error);
  const { signal, ref = true } = options;
  return later((fire) => timers.setImmediate(() => fire(value)), timers.clearImmediate, signal, ref);
}

async function* setInterval(delay, value, options = {}) {
  const error = check(options, delay);
  if (error !== undefined) throw error;
  const { signal, ref = true } = options;
  let fired = 0;
  let wake;
  const interval = timers.setInterval(() => {
    fired++;
    wake?.();
    wake = undefined;
  }, delay);
  if (!ref) interval.unref();
  const onAbort = () => {
    timers.clearInterval(interval);
    wake?.(Promise.reject(new AbortError(undefined, { cause: signal.reason })));
    wake = undefined;
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    while (!signal?.aborted) {
      if (fired === 0) await new Promise((resolve) => { wake = resolve; });
      for (; fired > 0; fired--) yield value;
    }
    throw new AbortError(undefined, { cause: signal.reason });
  } finally {
    timers.clearInterval(interval);
    signal?.removeEventListener('abort', onAbort);
  }
}

// What the proposal for schedulers calls them.
class Scheduler {
  constructor() { throw new codes.ERR_ILLEGAL_CONSTRUCTOR(); }

  yield() {
    checkScheduler(this);
    return setImmediate();
  }

  wait(delay, options) {
    checkScheduler(this);
    return setTimeout(delay, undefined, { signal: options?.signal, ...options });
  }
}

const scheduler = Object.create(Scheduler.prototype);

function checkScheduler(value) {
  if (value !== scheduler) throw new codes.ERR_INVALID_THIS('Scheduler');
}

module.exports = { setTimeout, setImmediate, setInterval, scheduler };
