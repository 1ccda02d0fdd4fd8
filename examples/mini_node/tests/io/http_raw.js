'use strict';

// What goes over the wire: requests behind each other, and those that are none.

const http = require('http');
const net = require('net');

const server = http.createServer((request, response) => {
  console.log('request', request.url, request.rawHeaders);
  if (request.url === '/slow') setTimeout(() => response.end('slow'), 20);
  else response.end('fast');
});

const texts = [
  'GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /fast HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  'GET /old HTTP/1.0\r\n\r\n',
  'POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n' +
    '3\r\nabc\r\n0\r\n\r\n',
  'GET /expect HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n',
  'GET / HTTP/1.1\r\n\r\n',
  'no request at all\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
];

server.listen(0, '127.0.0.1', () => {
  (function next() {
    const text = texts.shift();
    if (text === undefined) {
      server.close(() => console.log('closed'));
      return;
    }
    const socket = net.connect(server.address().port, '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('error', (error) => console.log(error.code));
    socket.on('close', () => {
      for (const line of answer.replace(/Date: .*\r\n/g, '').split('\r\n'))
        console.log(`  ${line}`);
      next();
    });
    socket.write(text);
  })();
});
