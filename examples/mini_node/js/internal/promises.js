// Rejections that nobody has handled. The engine tells of each at once; they are judged when ticks
// and microtasks are empty, so a handler that is added by then is in time.
'use strict';

const { onRejection, onDrained } = internalBinding('task_queue');
const { codes, setStack } = require('internal/errors');
const { isProxy } = internalBinding('util');
const { triggerUncaught } = require('internal/fatal');

// Rejected promises without a handler that have not been judged, in the order of their rejection.
let pending = [];

// From a promise without a handler to what is known of it.
const unhandled = new WeakMap();

// Promises that got a handler after they had been judged.
let handledLate = [];

// Counts rejections: warnings name them by number.
let lastId = 0;

function rejected(isHandled, promise, reason) {
  if (!isHandled) {
    const record = { promise, reason, id: ++lastId, isJudged: false };
    unhandled.set(promise, record);
    pending.push(record);
    return;
  }
  const record = unhandled.get(promise);
  if (record === undefined) return;
  unhandled.delete(promise);
  if (record.isJudged) {
    const warning = new Error(`Promise rejection was handled asynchronously (rejection id: ${record.id})`);
    warning.name = 'PromiseRejectionHandledWarning';
    warning.id = record.id;
    handledLate.push({ promise, warning });
  }
}

// Says whether ticks or microtasks may have been queued.
function judge() {
  let mayHaveQueued = handledLate.length > 0;
  while (handledLate.length > 0) {
    const { promise, warning } = handledLate.shift();
    if (!process.emit('rejectionHandled', promise)) process.emitWarning(warning);
  }
  // Those that come meanwhile wait for the next round.
  for (let left = pending.length; left > 0; left--) {
    const record = pending.shift();
    if (unhandled.get(record.promise) !== record) continue;
    record.isJudged = true;
    mayHaveQueued = true;
    if (!process.emit('unhandledRejection', record.reason, record.promise)) {
      triggerUncaught(asError(record.reason), true);
    }
  }
  return mayHaveQueued || pending.length > 0;
}

function isErrorLike(value) {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, 'stack') ||
    value instanceof Error;
}

function asError(reason) {
  if (isErrorLike(reason)) return reason;
  const error = new codes.ERR_UNHANDLED_REJECTION(briefly(reason));
  error.name = 'UnhandledPromiseRejection';
  setStack(error, `UnhandledPromiseRejection: ${error.message}`);
  return error;
}

// A value in a few words, without a call of anything that is not ours.
function briefly(value) {
  if (typeof value !== 'object' || value === null) return String(value);
  const name = constructorNameOf(value);
  return name === undefined ? Object.prototype.toString.call(value) : `#<${name}>`;
}

function constructorNameOf(value) {
  if (isProxy(value) || Array.isArray(value)) return undefined;
  for (let object = value; object !== null; object = Object.getPrototypeOf(object)) {
    const constructor = Object.getOwnPropertyDescriptor(object, 'constructor')?.value;
    if (typeof constructor === 'function') return constructor.name || undefined;
  }
  return undefined;
}

onRejection(rejected);
onDrained(judge);
