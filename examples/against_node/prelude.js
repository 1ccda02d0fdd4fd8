'use strict';
const fs = require('fs');
const { Worker, MessageChannel, isMainThread, parentPort, workerData } = require('worker_threads');

// The variables of this thread's program.
const v = {};

// The main program's trace is what it prints; a worker's labels are messages to its parent.
function say(label) {
  if (isMainThread) fs.writeSync(1, label + '\n');
  else parentPort.postMessage(label);
}

function block(ms) {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

// A timeout that was cleared after it had fired, Node arms again on refresh, with nothing to call: it
// would hold the loop for its delay.
const cleared = new WeakSet();
function refresh(handle) {
  if (handle && !cleared.has(handle)) handle.refresh?.();
}

function clear(handle) {
  if (handle instanceof Object) cleared.add(handle);
  if (handle instanceof Object && handle.constructor.name === 'Immediate') clearImmediate(handle);
  else clearTimeout(handle);
}

// An interval that is cleared at its last firing, after its label and before its body.
function interval(ms, times, body) {
  const own = setInterval(() => {
    times -= 1;
    if (times === 0) clearInterval(own);
    body();
  }, ms);
  return own;
}

function beforeExit(times, body) {
  process.on('beforeExit', () => {
    if (times > 0) {
      times -= 1;
      body();
    }
  });
}

// Listening again replaces the listener before.
function listen(port, id, times, answers) {
  if (!port) return;
  if (port.listener) port.off('message', port.listener);
  const listener = (value) => {
    times -= 1;
    if (times === 0) {
      port.off('message', listener);
      port.listener = undefined;
    }
    say(`${id}:${value}`);
    answers[value]?.();
  };
  port.listener = listener;
  port.on('message', listener);
}

function worker(id, number, online, events) {
  const worker = new Worker(__filename, { workerData: number });
  if (online) worker.on('online', () => { say(`${id}:online`); events.online(); });
  worker.on('message', (label) => { say(`${id}:${label}`); events.message[label]?.(); });
  worker.on('error', (error) => { say(`${id}:error(${error.message})`); events.error(); });
  worker.on('exit', (code) => { say(`${id}:exit(${code})`); events.exit(); });
  return worker;
}

