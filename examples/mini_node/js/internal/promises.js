// Rejections that nobody has handled. The engine tells of each at once; they are judged when ticks
// and microtasks are empty, so a handler that is added by then is in time.
'use strict';

const { onRejection, onDrained } = internalBinding('task_queue');
const { unhandledRejections } = internalBinding('options');
const { setStack } = require('internal/errors');
const { isProxy } = internalBinding('util');
const { isEnding, triggerUncaught } = require('internal/fatal');
const { SafeMap, SafeWeakMap } = require('internal/safe');

// A program may replace it.
const { Error } = globalThis;

// From a promise that was rejected without a handler, and has not been judged, to what is known of
// it, in the order of the rejections.
const pending = new SafeMap();

// The same of those that have been judged.
const unhandled = new SafeWeakMap();

// Promises that got a handler after they had been judged.
let handledLate = [];

// Counts rejections: warnings name them by number.
let lastId = 0;

function rejected(isHandled, promise, reason) {
  if (!isHandled) {
    pending.set(promise, { promise, reason, id: ++lastId });
    return;
  }
  if (pending.delete(promise)) return;
  const record = unhandled.get(promise);
  if (record === undefined) return;
  unhandled.delete(promise);
  const warning = new Error(`Promise rejection was handled asynchronously (rejection id: ${record.id})`);
  warning.name = 'PromiseRejectionHandledWarning';
  if (typeof warning.stack === 'string') setStack(warning, warning.stack.replace(/^Error/, warning.name));
  warning.id = record.id;
  handledLate[handledLate.length] = { promise, warning };
}

// Says whether ticks or microtasks may have been queued.
function judge() {
  if (isEnding()) return false;
  const late = handledLate;
  handledLate = [];
  for (let i = 0; i < late.length; i++) {
    const { promise, warning } = late[i];
    guarded(() => {
      if (!process.emit('rejectionHandled', promise)) process.emitWarning(warning);
    });
  }
  // Those that come meanwhile wait for the next round. One that a handler of another handles meanwhile is
  // still told, as on Node.
  const records = [];
  pending.forEach((record) => { records[records.length] = record; });
  for (let i = 0; i < records.length; i++) {
    const record = records[i];
    if (pending.delete(record.promise)) unhandled.set(record.promise, record);
    guarded(() => judgeOne(record));
  }
  return late.length > 0 || records.length > 0 || pending.size > 0;
}

// What a handler throws is uncaught, and the next rejection is judged.
function guarded(f) {
  try {
    f();
  } catch (error) {
    triggerUncaught(error, false);
  }
}

// What becomes of a rejection, by what `--unhandled-rejections` asks for.
const MODES = {
  '__proto__': null,
  'none': tellOf,
  'strict'(record) {
    triggerUncaught(asError(record.reason), true);
    if (!tellOf(record)) warnOf(record);
  },
  'throw'(record) {
    if (!tellOf(record)) triggerUncaught(asError(record.reason), true);
  },
  'warn'(record) {
    tellOf(record);
    warnOf(record);
  },
  'warn-with-error-code'(record) {
    if (tellOf(record)) return;
    warnOf(record);
    process.exitCode = 1;
  },
};
const judgeOne = MODES[unhandledRejections];

// Says whether anybody listens.
function tellOf({ promise, reason }) {
  return process.emit('unhandledRejection', reason, promise);
}

// Warns of the reason, and that it came from a promise.
function warnOf({ reason, id }) {
  const name = 'UnhandledPromiseRejectionWarning';
  const warning = new Error('Unhandled promise rejection. This error originated either by throwing ' +
    'inside of an async function without a catch block, or by rejecting a promise which was not ' +
    'handled with .catch(). To terminate the node process on unhandled promise rejection, use the ' +
    'CLI flag `--unhandled-rejections=strict` (see ' +
    `https://nodejs.org/api/cli.html#cli_unhandled_rejections_mode). (rejection id: ${id})`);
  warning.name = name;
  const stack = isErrorLike(reason) ? reason.stack : undefined;
  setStack(warning, typeof stack === 'string' ? stack : `${name}: ${warning.message}`);
  process.emitWarning(typeof stack === 'string' ? stack : briefly(reason), name);
  process.emitWarning(warning);
}

function isErrorLike(value) {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, 'stack') ||
    value instanceof Error;
}

function asError(reason) {
  if (isErrorLike(reason)) return reason;
  const error = new Error('This error originated either by throwing inside of an async function ' +
    'without a catch block, or by rejecting a promise which was not handled with .catch(). The ' +
    `promise rejected with the reason "${briefly(reason)}".`);
  error.code = 'ERR_UNHANDLED_REJECTION';
  error.name = 'UnhandledPromiseRejection';
  return error;
}

// A value in a few words, without a call of anything that is not ours.
function briefly(value) {
  if (typeof value === 'function') return Function.prototype.toString.call(value);
  if (typeof value !== 'object' || value === null) return String(value);
  const name = isProxy(value) ? 'Object' : constructorNameOf(value);
  return name === undefined || hasOwnText(value) ? Object.prototype.toString.call(value) : `#<${name}>`;
}

// Its properties as they are, without a call of a getter.
function find(value, key) {
  for (let object = value; object !== null && !isProxy(object); object = Object.getPrototypeOf(object)) {
    const descriptor = Object.getOwnPropertyDescriptor(object, key);
    if (descriptor !== undefined) return descriptor.value;
  }
  return undefined;
}

function hasOwnText(value) {
  const toText = find(value, 'toString');
  return toText !== undefined && toText !== Object.prototype.toString;
}

function constructorNameOf(value) {
  const constructor = find(value, 'constructor');
  return typeof constructor === 'function' ? constructor.name || undefined : undefined;
}

onRejection(rejected);
onDrained(judge);
