'use strict';

// Connections that end too early, on either side.

const http = require('http');

const server = http.createServer((request, response) => {
  request.on('aborted', () => console.log('server: aborted'));
  request.on('error', (error) => console.log('server: error', error.code, error.message));
  response.on('close', () => {
    console.log('server: close', response.writableEnded, response.writableFinished);
  });
  if (request.url === '/hang') {
    request.socket.destroy();
  } else if (request.url === '/part') {
    response.writeHead(200, { 'Content-Length': 10 });
    response.write('12345');
    setTimeout(() => request.socket.destroy(), 20);
  }
});

const steps = [
  (options, next) => {
    const request = http.get({ ...options, path: '/hang' }, () => console.log('never'));
    request.on('error', (error) => console.log('hang', error.message, error.code));
    request.on('close', next);
  },
  (options, next) => {
    http.get({ ...options, path: '/part' }, (response) => {
      response.on('data', (chunk) => console.log('part', String(chunk)));
      response.on('end', () => console.log('never'));
      response.on('aborted', () => console.log('part aborted'));
      response.on('error', (error) => console.log('part', error.message, error.code));
      response.on('close', () => {
        console.log('part closed', response.complete);
        next();
      });
    });
  },
  (options, next) => {
    const request = http.get({ ...options, path: '/wait', timeout: 30 });
    request.on('timeout', () => {
      console.log('timeout');
      request.destroy();
    });
    request.on('error', (error) => console.log('wait', error.message, error.code));
    request.on('close', () => {
      console.log('wait closed', request.destroyed);
      setTimeout(next, 10);
    });
  },
  (options, next) => {
    const request = http.get({ ...options, port: 1 });
    request.on('error', (error) => console.log(error.message));
    request.on('close', next);
  },
  (options, next) => server.close(next),
];

server.listen(0, '127.0.0.1', () => {
  const options = { host: '127.0.0.1', port: server.address().port, agent: false };
  (function next() {
    const step = steps.shift();
    if (step) step(options, next);
    else console.log('done');
  })();
});
