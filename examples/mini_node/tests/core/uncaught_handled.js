'use strict';
// Handlers of what nobody caught: the loop goes on.
process.on('uncaughtExceptionMonitor', (e, origin) => console.log('monitor', e.message ?? e, origin));
process.on('uncaughtException', (e, origin) => console.log('uncaught', e.message ?? e, origin));
process.on('exit', (code) => console.log('exit', code));
setTimeout(() => { throw new Error('in timer'); }, 1);
setTimeout(() => { queueMicrotask(() => { throw new Error('in microtask'); }); queueMicrotask(() => console.log('next microtask')); }, 10);
setTimeout(() => { Promise.reject(new Error('rejected')); }, 20);
setTimeout(() => { Promise.reject('not an error'); }, 30);
let n = 0;
const i = setInterval(() => { if (++n === 3) clearInterval(i); throw new Error(`in interval ${n}`); }, 40);
setTimeout(() => { console.log('last'); }, 300);
setTimeout(() => process.nextTick(() => { throw new Error('in tick'); }), 250);
throw new Error('in main');
