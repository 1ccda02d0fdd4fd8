'use strict';
// A buffer that threads share, and waits at a number in it. It is made before any module is there.
const shared = new SharedArrayBuffer(32);
const numbers = new Int32Array(shared);
const bigs = new BigInt64Array(shared);
const { Worker } = require('worker_threads');
const attempt = (name, f) => {
  try {
    console.log(name, f());
  } catch (error) {
    console.log(name, error.constructor.name);
  }
};

attempt('another value', () => Atomics.wait(numbers, 0, 1));
attempt('another value', () => Atomics.wait(bigs, 3, 2n ** 40n));
attempt('a moment', () => Atomics.wait(numbers, 0, 0, 5));
attempt('a moment', () => Atomics.wait(bigs, 0, 0n, 5));
attempt('no time', () => Atomics.wait(numbers, 0, 0, 0));
attempt('less', () => Atomics.wait(numbers, 0, 0, -1));
attempt('nobody', () => Atomics.notify(numbers, 0));
attempt('not shared', () => Atomics.wait(new Int32Array(1), 0, 0, 0));
attempt('not shared', () => Atomics.notify(new Int32Array(1), 0));
attempt('no numbers', () => Atomics.wait({}, 0, 0, 0));
attempt('no integers', () => Atomics.wait(new Float64Array(shared), 0, 0, 0));
attempt('beyond', () => Atomics.wait(numbers, 8, 0, 0));
attempt('below', () => Atomics.wait(numbers, -1, 0, 0));
console.log(Atomics.wait.name, Atomics.wait.length, Atomics.notify.name, Atomics.notify.length);

const source = `
const { parentPort, workerData } = require('worker_threads');
const { shared, at, big } = workerData;
const numbers = big ? new BigInt64Array(shared) : new Int32Array(shared);
parentPort.postMessage('waits');
parentPort.postMessage(Atomics.wait(numbers, at, big ? 0n : 0));
`;
const start = (data) => {
  const worker = new Worker(source, { eval: true, workerData: { shared, ...data } });
  const got = [];
  worker.on('message', (message) => got.push(message));
  return new Promise((resolve) => worker.on('exit', () => resolve(got.join())));
};
// Notifies until so many have been woken.
const wake = (array, at, count) => new Promise((resolve) => {
  (function again(left) {
    left -= Atomics.notify(array, at, left);
    if (left === 0) resolve();
    else setImmediate(again, left);
  })(count);
});

(async () => {
  const two = [start({ at: 2 }), start({ at: 2 })];
  await wake(numbers, 2, 2);
  console.log(await Promise.all(two));
  const big = start({ at: 2, big: true });
  await wake(bigs, 2, 1);
  console.log(await big);
  Atomics.store(numbers, 6, 1);
  console.log(await start({ at: 6 }), numbers[6]);
})();
