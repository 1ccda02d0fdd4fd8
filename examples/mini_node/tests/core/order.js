'use strict';
// What runs when: ticks, microtasks, immediates and timers within each other.
const log = (...args) => console.log(...args);
setTimeout(() => { log('timer 1'); process.nextTick(log, 'timer 1 tick'); Promise.resolve().then(() => log('timer 1 micro')); }, 1);
setTimeout(() => log('timer 2'), 1);
setImmediate(() => { log('immediate 1'); process.nextTick(log, 'immediate 1 tick'); queueMicrotask(() => log('immediate 1 micro')); setImmediate(log, 'immediate 3'); });
setImmediate(log, 'immediate 2');
process.nextTick(() => { log('tick 1'); queueMicrotask(() => { log('micro in tick'); process.nextTick(log, 'tick in micro in tick'); }); process.nextTick(log, 'tick in tick'); });
queueMicrotask(() => { log('micro 1'); process.nextTick(log, 'tick in micro'); queueMicrotask(() => log('micro in micro')); });
(async () => { log('async start'); await null; log('async 1'); await new Promise((r) => setImmediate(r)); log('async 2'); await undefined; log('async 3'); })();
const thenable = { then(resolve) { log('then called'); resolve('thenable'); } };
Promise.resolve(thenable).then(log);
(async () => log(await thenable))();
Promise.all([1, Promise.resolve(2), thenable]).then((v) => log('all', v));
Promise.allSettled([Promise.reject(1), 2]).then((v) => log('settled', v));
Promise.race([new Promise((r) => process.nextTick(r, 'tick wins')), new Promise((r) => setTimeout(r, 1, 'timer'))]).then(log);
Promise.any([Promise.reject(1), Promise.resolve(3)]).then((v) => log('any', v));
async function* generate() { yield 1; yield Promise.resolve(2); await null; yield 3; }
(async () => { for await (const v of generate()) log('generated', v); })();
new Promise((_, reject) => reject(new Error('x'))).catch((e) => log('caught', e.message)).finally(() => log('finally'));
log('main ends');
