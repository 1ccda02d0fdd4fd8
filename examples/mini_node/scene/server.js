'use strict';

// A server with a fast page and a slow one. Where is the slow page computed?
//
//   server.js loop     on the loop: until it is done, nobody else is answered
//   server.js worker   in a worker: the loop goes on meanwhile
//
// Started by parent.js it takes any free port and tells which; by hand it takes port 8080.

const http = require('http');
const path = require('path');
const { Worker, parentPort, workerData } = require('worker_threads');
const { fib } = require('./fib');

const where = workerData ? workerData.where : process.argv[2] || 'loop';
const n = 28;

/** Computes on the loop. */
function slowOnLoop(answer) {
  answer(fib(n));
}

/** Lets a worker compute. */
function slowInWorker(answer) {
  const worker = new Worker(path.join(__dirname, 'worker.js'));
  worker.once('message', (result) => {
    worker.terminate();
    answer(result);
  });
  worker.postMessage(n);
}

const slow = where === 'worker' ? slowInWorker : slowOnLoop;

const server = http.createServer((request, response) => {
  response.setHeader('Content-Type', 'text/plain');
  if (request.url === '/fast') {
    response.end('hello\n');
  } else if (request.url === '/slow') {
    slow((result) => response.end(`fib(${n}) = ${result}\n`));
  } else {
    response.statusCode = 404;
    response.end('Not found. There are /fast and /slow.\n');
  }
});

server.listen(parentPort ? 0 : 8080, '127.0.0.1', () => {
  const { port } = server.address();
  if (parentPort) parentPort.postMessage(port);
  else console.log(`http://127.0.0.1:${port} has /fast and /slow. Computed: ${where}`);
});

// The parent says when it has seen enough.
if (parentPort) {
  parentPort.once('message', () => {
    server.close();
  });
}
