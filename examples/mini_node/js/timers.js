// setTimeout, setInterval, setImmediate and their objects. When what fires is the loop's to say: an
// object here has a number of the native table while it is armed, and nothing else decides.
'use strict';

const native = internalBinding('timers');
const deprecate = require('internal/deprecate');
const { codes } = require('internal/errors');
const { validateFunction, validateNumber } = require('internal/validators');
const { customPromisify } = require('internal/symbols');

const TIMEOUT_MAX = 2 ** 31 - 1;

// The native number of an armed timer or immediate; undefined while it is not armed.
const kNative = Symbol('native');
// Whether it holds the loop while it is armed.
const kRefed = Symbol('refed');
const kHasPrimitive = Symbol('hasPrimitive');
const kId = Symbol('id');
// The period that the native interval has.
const kPeriod = Symbol('period');

// The number that a timer is as a primitive.
let lastId = 1;

// Timers that were asked for their numbers, which clearTimeout then takes.
const byId = Object.create(null);

function arm(timer) {
  const delay = Math.trunc(timer._idleTimeout);
  timer._idleStart = native.now();
  // In Node it is in a list now, which programs can tell.
  timer._idleNext = timer;
  timer._idlePrev = timer;
  timer[kPeriod] = timer._repeat ? delay : undefined;
  timer[kNative] = timer._repeat ?
    native.setInterval(() => fireInterval(timer), delay) :
    native.setTimeout(() => fire(timer), delay);
  if (!timer[kRefed]) native.setRef(timer[kNative], false);
}

function disarm(timer) {
  const number = timer[kNative];
  if (number !== undefined) {
    leave(timer);
    native.clear(number);
  }
}

// It is not armed any more.
function leave(timer) {
  timer[kNative] = undefined;
  timer._idleNext = null;
  timer._idlePrev = null;
}

function call(timer) {
  const args = timer._timerArgs;
  if (args === undefined) timer._onTimeout();
  else timer._onTimeout(...args);
}

function fire(timer) {
  leave(timer);
  if (!timer._onTimeout) return end(timer);
  try {
    call(timer);
  } finally {
    if (timer[kNative] === undefined && !timer._destroyed) {
      if (timer._repeat && timer._idleTimeout !== -1) {
        // It has become an interval meanwhile.
        timer._idleTimeout = timer._repeat;
        arm(timer);
      } else {
        end(timer);
      }
    }
  }
}

function fireInterval(timer) {
  if (!timer._onTimeout) {
    disarm(timer);
    return end(timer);
  }
  try {
    call(timer);
  } finally {
    const isOver = timer._idleTimeout === -1;
    if (timer[kNative] !== undefined && (isOver || timer._repeat !== timer[kPeriod])) {
      // It has another period meanwhile, or none.
      disarm(timer);
      if (timer._repeat && !isOver) {
        timer._idleTimeout = timer._repeat;
        arm(timer);
      } else {
        end(timer);
      }
    }
  }
}

// Nothing will fire any more, unless the timer is armed again by refresh.
function end(timer) {
  if (timer[kHasPrimitive]) delete byId[timer[kId]];
  timer._destroyed = true;
}

function setRef(timer, on) {
  if (timer[kRefed] === !on) {
    timer[kRefed] = on;
    if (timer[kNative] !== undefined) native.setRef(timer[kNative], on);
  }
  return timer;
}

class Timeout {
  constructor(callback, after, args, isRepeat, isRefed) {
    after *= 1;
    if (!(after >= 1 && after <= TIMEOUT_MAX)) {
      if (after > TIMEOUT_MAX) {
        process.emitWarning(`${after} does not fit into a 32-bit signed integer.` +
          '\nTimeout duration was set to 1.', 'TimeoutOverflowWarning');
      }
      after = 1;
    }
    this._idleTimeout = after;
    this._idlePrev = this;
    this._idleNext = this;
    this._idleStart = null;
    this._onTimeout = callback;
    this._timerArgs = args;
    this._repeat = isRepeat ? after : null;
    this._destroyed = false;
    this[kRefed] = isRefed;
    this[kHasPrimitive] = false;
    this[kId] = lastId++;
    for (const name of [kNative, kPeriod]) {
      Object.defineProperty(this, name, { value: undefined, writable: true, enumerable: false });
    }
  }

  refresh() {
    if (this[kNative] !== undefined && native.refresh(this[kNative])) {
      this._idleStart = native.now();
      return this;
    }
    if (this[kRefed]) active(this);
    else unrefActive(this);
    return this;
  }

  ref() { return setRef(this, true); }
  unref() { return setRef(this, false); }
  hasRef() { return this[kRefed]; }

  close() {
    clearTimeout(this);
    return this;
  }

  [Symbol.toPrimitive]() {
    const id = this[kId];
    if (!this[kHasPrimitive]) {
      this[kHasPrimitive] = true;
      byId[id] = this;
    }
    return id;
  }

  [Symbol.dispose]() { clearTimeout(this); }
}

// Arms a timer, or anything that has the fields of one, from now on.
function insert(item, isRefed) {
  const delay = item._idleTimeout;
  if (delay < 0 || delay === undefined) return;
  disarm(item);
  item._destroyed = false;
  item[kRefed] = isRefed;
  arm(item);
}

function active(item) { insert(item, true); }
function unrefActive(item) { insert(item, false); }

function unenroll(item) {
  if (item._destroyed) return;
  item._destroyed = true;
  if (item[kHasPrimitive]) delete byId[item[kId]];
  disarm(item);
  // What is armed later by refresh is not to be.
  item._idleTimeout = -1;
}

function enroll(item, delay) {
  validateNumber(delay, 'msecs');
  if (delay < 0 || !Number.isFinite(delay)) {
    throw new codes.ERR_OUT_OF_RANGE('msecs', 'a non-negative finite number', delay);
  }
  if (item._idleNext) unenroll(item);
  if (delay > TIMEOUT_MAX) {
    process.emitWarning(`${delay} does not fit into a 32-bit signed integer.` +
      `\nTimer duration was truncated to ${TIMEOUT_MAX}.`, 'TimeoutOverflowWarning');
    delay = TIMEOUT_MAX;
  }
  item._idlePrev = item;
  item._idleNext = item;
  item._idleTimeout = delay;
}

function start(callback, delay, args, isRepeat) {
  validateFunction(callback, 'callback');
  const timer = new Timeout(callback, delay, args.length > 0 ? args : undefined, isRepeat, true);
  arm(timer);
  return timer;
}

function setTimeout(callback, delay, ...args) {
  return start(callback, delay, args, false);
}

function setInterval(callback, repeat, ...args) {
  return start(callback, repeat, args, true);
}

function clearTimeout(timer) {
  if (timer?._onTimeout) {
    timer._onTimeout = null;
    unenroll(timer);
    return;
  }
  if (typeof timer === 'number' || typeof timer === 'string') {
    const known = byId[timer];
    if (known !== undefined) {
      known._onTimeout = null;
      unenroll(known);
    }
  }
}

function clearInterval(timer) {
  clearTimeout(timer);
}

class Immediate {
  constructor(callback, args) {
    this._idleNext = null;
    this._idlePrev = null;
    this._onImmediate = callback;
    this._argv = args;
    this._destroyed = false;
    this[kRefed] = true;
    const number = native.setImmediate(() => fireImmediate(this));
    Object.defineProperty(this, kNative, { value: number, writable: true, enumerable: false });
  }

  ref() { return setImmediateRef(this, true); }
  unref() { return setImmediateRef(this, false); }
  hasRef() { return !!this[kRefed]; }
  [Symbol.dispose]() { clearImmediate(this); }
}

function setImmediateRef(immediate, on) {
  if (immediate[kRefed] === !on) {
    immediate[kRefed] = on;
    native.setImmediateRef(immediate[kNative], on);
  }
  return immediate;
}

function fireImmediate(immediate) {
  const args = immediate._argv;
  immediate._destroyed = true;
  immediate[kRefed] = null;
  try {
    if (!args) immediate._onImmediate();
    else immediate._onImmediate(...args);
  } finally {
    immediate._onImmediate = null;
  }
}

function setImmediate(callback, ...args) {
  validateFunction(callback, 'callback');
  return new Immediate(callback, args.length > 0 ? args : undefined);
}

function clearImmediate(immediate) {
  if (!immediate?._onImmediate || immediate._destroyed) return;
  immediate._destroyed = true;
  immediate[kRefed] = null;
  immediate._onImmediate = null;
  native.clearImmediate(immediate[kNative]);
}

module.exports = {
  setTimeout,
  clearTimeout,
  setImmediate,
  clearImmediate,
  setInterval,
  clearInterval,
  _unrefActive: deprecate(
    unrefActive, 'timers._unrefActive() is deprecated. Please use timeout.refresh() instead.', 'DEP0127'),
  active: deprecate(
    active, 'timers.active() is deprecated. Please use timeout.refresh() instead.', 'DEP0126'),
  unenroll: deprecate(
    unenroll, 'timers.unenroll() is deprecated. Please use clearTimeout instead.', 'DEP0096'),
  enroll: deprecate(
    enroll, 'timers.enroll() is deprecated. Please use setTimeout instead.', 'DEP0095'),
};

// The forms with promises are loaded when they are asked for.
Object.defineProperty(module.exports, 'promises', {
  configurable: true,
  enumerable: true,
  get: () => require('timers/promises'),
});
for (const [callbackForm, name] of [[setTimeout, 'setTimeout'], [setImmediate, 'setImmediate']]) {
  Object.defineProperty(callbackForm, customPromisify, {
    enumerable: true,
    get: () => require('timers/promises')[name],
  });
}
