'use strict';
// A script that comes as text is no module: what it declares is global, and what modules have it
// has as globals.
const { Worker } = require('worker_threads');

const source = `
const __filename = 'its own';
const fs = require('fs');
var declared = 1;
function named() {}
const { parentPort } = require('worker_threads');
parentPort.postMessage([
  __filename, typeof module, module.exports === exports, globalThis.declared, typeof globalThis.named,
  typeof globalThis.fs, globalThis.__filename, __dirname, this === globalThis, require.main === module,
]);
setImmediate(() => { throw new TypeError('from the text'); });
`;
const worker = new Worker(source, { eval: true });
worker.on('message', (message) => console.log(message));
worker.on('error', ({ name, message, stack }) => {
  console.log(name, message);
  console.log(/\[worker eval\]:11:/.test(stack));
});
worker.on('exit', (code) => {
  console.log('exit', code);
  new Worker('return 1', { eval: true }).on('error', ({ name }) => console.log(name));
});
