'use strict';
// What becomes of rejections: one that nobody handles, one with what is no error, one that is handled
// late, in each mode of --unhandled-rejections.
process.on('warning', ({ name, message, stack }) => {
  const [first, second] = [message, stack].map((text) => text.split('\n')[0]);
  console.log('warning', name, first, '|', second);
});
process.on('uncaughtException', (error, origin) => console.log('uncaught', origin, error.message));
process.on('exit', (code) => console.log('exit', code, process.exitCode));
Promise.reject(new RangeError('nobody'));
Promise.reject(5);
const late = Promise.reject(new Error('late'));
setTimeout(() => {
  late.catch(() => {});
  process.on('unhandledRejection', (reason) => console.log('told of', reason));
  Promise.reject(6);
}, 1);
