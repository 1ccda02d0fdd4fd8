// Rejections that nobody has handled. The engine tells of each at once; they are judged when ticks
// and microtasks are empty, so a handler that is added by then is in time.
'use strict';

const { onRejection, onDrained } = internalBinding('task_queue');
const { codes } = require('internal/errors');
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

// A value as V8 says it without calling anything of a program.
function inWords(reason) {
  if (reason === null || typeof reason !== 'object') return String(reason);
  return `#<${reason.constructor?.name || 'Object'}>`;
}

function asError(reason) {
  if (isErrorLike(reason)) return reason;
  const error = new codes.ERR_UNHANDLED_REJECTION(noThrow(() => inWords(reason)));
  error.name = 'UnhandledPromiseRejection';
  error.stack = `UnhandledPromiseRejection: ${error.message}`;
  return error;
}

function noThrow(f) {
  try {
    return f();
  } catch {
    return '<reason>';
  }
}

onRejection(rejected);
onDrained(judge);
