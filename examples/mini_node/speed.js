// What a tick, a promise, an immediate, a worker's message and its end cost: nanoseconds, the best of some rounds.
'use strict';

const { Worker, isMainThread, parentPort } = require('worker_threads');

const ROUNDS = 200;
const COUNT = Number(process.argv[2] ?? 2_000);

// Calls itself `count` times by what `next` queues.
const chain = (next) => (count) => new Promise((resolve) => {
  let left = count;
  const step = () => {
    left -= 1;
    if (left > 0) next(step);
    else resolve();
  };
  next(step);
});

async function awaits(count) {
  for (let at = 0; at < count; at += 1) await at;
}

// Each message is answered before the next one is sent.
function roundTrips(worker) {
  return (count) => new Promise((resolve) => {
    let left = count;
    worker.on('message', function answered() {
      left -= 1;
      if (left > 0) {
        worker.postMessage(left);
      } else {
        worker.off('message', answered);
        resolve();
      }
    });
    worker.postMessage(left);
  });
}

function print(name, nanoseconds) {
  console.log(`${name.padEnd(20)} ${String(Math.round(nanoseconds)).padStart(9)} ns`);
}

async function measure(name, count, run) {
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round += 1) {
    const began = performance.now();
    await run(count);
    best = Math.min(best, performance.now() - began);
  }
  print(name, best * 1e6 / count);
}

// From the call until the worker has ended, which was busy.
async function terminate() {
  let best = Infinity;
  for (let round = 0; round < ROUNDS / 10; round += 1) {
    const worker = new Worker('for (;;);', { eval: true });
    await new Promise((resolve) => worker.on('online', () => setTimeout(resolve, 20)));
    const began = performance.now();
    await worker.terminate();
    best = Math.min(best, performance.now() - began);
  }
  print('terminate, busy', best * 1e6);
}

async function main() {
  await measure('process.nextTick', COUNT, chain((step) => process.nextTick(step)));
  await measure('queueMicrotask', COUNT, chain((step) => queueMicrotask(step)));
  await measure('await', COUNT, awaits);
  await measure('setImmediate', COUNT, chain((step) => setImmediate(step)));
  const worker = new Worker(__filename);
  await measure('message to a worker', Math.ceil(COUNT / 20), roundTrips(worker));
  await worker.terminate();
  await terminate();
}

if (isMainThread) main();
else parentPort.on('message', (value) => parentPort.postMessage(value));
