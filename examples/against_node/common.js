'use strict';
const fs = require('fs');
const {
  MessageChannel, Worker, isMainThread, parentPort, receiveMessageOnPort, workerData,
} = require('worker_threads');

// What the main thread prints; a worker's labels are messages to its parent.
function say(label) {
  if (isMainThread) fs.writeSync(1, `${label}\n`);
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

// Node's clearImmediate believes whatever it is given: with an object that is no immediate it counts
// wrong, and the program never ends.
function clear(handle) {
  if (!(handle instanceof Object)) return;
  cleared.add(handle);
  if (handle.constructor.name === 'Immediate') clearImmediate(handle);
  else clearTimeout(handle);
}

// Listening again replaces the listener before.
function listen(port, label, times, answers) {
  if (!port) return;
  if (port.listener) port.off('message', port.listener);
  const listener = (value) => {
    times -= 1;
    if (times === 0) {
      port.off('message', listener);
      port.listener = undefined;
    }
    say(`${label}:${value}`);
    answers[value]?.();
  };
  port.listener = listener;
  port.on('message', listener);
}
