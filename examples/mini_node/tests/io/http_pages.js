'use strict';

// A server and its client: methods, bodies, headers, connections that are kept.

const http = require('http');

const server = http.createServer((request, response) => {
  console.log(
    'server:',
    request.method,
    request.url,
    request.httpVersion,
    request.headers['x-one'],
  );
  if (request.url === '/echo') {
    response.writeHead(201, 'Made', { 'Content-Type': 'text/plain', 'X-List': ['a', 'b'] });
    request.pipe(response);
  } else if (request.url === '/count') {
    let length = 0;
    request.on('data', (chunk) => {
      length += chunk.length;
    });
    request.on('end', () => response.end(String(length)));
  } else if (request.url === '/none') {
    response.statusCode = 204;
    response.removeHeader('Date');
    response.end();
  } else if (request.url === '/chunks') {
    response.write('one ');
    setImmediate(() => {
      response.write(Buffer.from('two '));
      setTimeout(() => response.end('three'), 30);
    });
  } else if (request.url === '/big') {
    let left = 40;
    const more = () => {
      while (left-- > 0) {
        if (!response.write('x'.repeat(10000))) {
          response.once('drain', more);
          return;
        }
      }
      response.end();
    };
    more();
  } else {
    response.setHeader('Content-Type', 'text/plain');
    console.log(
      'server:',
      response.getHeader('content-type'),
      response.hasHeader('x'),
      response.headersSent,
      response.getHeaderNames(),
    );
    response.end('hello\n', () => console.log('server: end callback'));
    console.log('server:', response.headersSent, response.writableEnded);
    try {
      response.setHeader('X-Late', '1');
    } catch (error) {
      console.log('server:', error.name, error.code, error.message);
    }
  }
  response.on('finish', () => console.log('server: finish', request.url));
  response.on('close', () => console.log('server: close', request.url));
});

server.on('connection', () => console.log('server: connection'));
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

  function ask(options, body, next) {
    const request = http.request({ host: '127.0.0.1', port, agent, ...options }, (response) => {
      const { date, ...headers } = response.headers;
      console.log(response.statusCode, response.statusMessage, headers, typeof date);
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => console.log('body', text.length, text.slice(0, 20)));
      response.on('close', () => {
        console.log('close', response.complete, request.reusedSocket);
        next();
      });
    });
    if (Array.isArray(body)) {
      for (const part of body) request.write(part);
      request.end();
    } else {
      request.end(body);
    }
  }

  const questions = [
    [{ path: '/' }],
    [{ path: '/a%20b?c=d', headers: { 'X-One': 'ü' } }],
    [{ path: '/', method: 'HEAD' }],
    [{ path: '/none' }],
    [{ path: '/echo', method: 'POST' }, 'one body'],
    [{ path: '/echo', method: 'PUT' }, ['in ', 'two']],
    [{ path: '/count', method: 'POST' }, Buffer.alloc(300000)],
    [{ path: '/chunks' }],
    [{ path: '/big' }],
    [{ path: '/chunks', agent: false }],
    [{ path: '/', headers: { Connection: 'close' } }],
  ];
  (function next() {
    const question = questions.shift();
    if (question) {
      console.log('---', question[0].method ?? 'GET', question[0].path);
      // The server's last words come first.
      ask(question[0], question[1], () => setTimeout(next, 5));
    } else {
      http.get(`http://127.0.0.1:${port}/`, (response) => {
        response.resume();
        response.on('end', () => server.close(() => console.log('closed')));
      });
      agent.destroy();
    }
  })();
});

for (const wrong of [
  () => http.get('https://x/'),
  () => http.get('no url'),
  () => http.request({ method: 'A B' }),
  () => http.request({ path: 'a b' }),
  () => http.request({ headers: { 'a b': 1 } }),
  () => http.request({ headers: { a: 'x\ny' } }),
  () => http.request({ headers: { a: undefined } }),
]) {
  try {
    wrong();
  } catch (error) {
    console.log(error.name, error.code, error.message);
  }
}
