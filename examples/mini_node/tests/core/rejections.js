'use strict';
// Rejections are judged when ticks and microtasks are empty.
process.on('unhandledRejection', (reason, promise) => {
  console.log('unhandled', reason, promise instanceof Promise);
  if (reason === 'a') { setTimeout(() => promise.catch((r) => console.log("late", r)), 1); }
});
process.on('rejectionHandled', (promise) => {
  console.log('handled', promise instanceof Promise);
  setTimeout(() => {
    new Promise((_, reject) => setTimeout(reject, 1, 'f'));
    setTimeout(() => Promise.reject('g').finally(() => {}), 2).ref();
  }, 1);
});
Promise.reject('a');
const b = Promise.reject('b');
process.nextTick(() => b.catch((r) => console.log('in time', r)));
const c = Promise.reject('c');
queueMicrotask(() => process.nextTick(() => queueMicrotask(() => c.catch((r) => console.log('in time', r)))));
(async () => { throw 'd'; })();
Promise.resolve().then(() => { throw 'e'; });
