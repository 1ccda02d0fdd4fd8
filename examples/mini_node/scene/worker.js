'use strict';

// The long computation, on a thread of its own: a number comes as a message, and so goes the
// result.

const { parentPort } = require('worker_threads');
const { fib } = require('./fib');

parentPort.on('message', (n) => parentPort.postMessage(fib(n)));
