'use strict';

// A connection from its beginning to its end, as both sides see it.

const net = require('net');

const server = net.createServer((socket) => {
  console.log('server: connection', socket.remoteFamily, socket.readyState);
  socket.on('data', (bytes) => {
    console.log('server: data', String(bytes));
    socket.write(bytes, () => console.log('server: written'));
  });
  socket.on('end', () => console.log('server: end'));
  socket.on('finish', () => console.log('server: finish'));
  socket.on('close', (hadError) => {
    console.log('server: close', hadError);
    server.close(() => console.log('server: closed', server.listening, server.address()));
  });
});

server.on('listening', () => console.log('listening', server.address().address));
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const client = net.connect(port, '127.0.0.1', () => {
    console.log('client: connected', client.remotePort === port, client.remoteAddress);
    client.write('hello', () => console.log('client: written'));
    process.nextTick(() => console.log('client: tick after connect'));
  });
  console.log('connecting', client.connecting, client.pending, client.readyState);
  client.on('connect', () => console.log('client: connect'));
  client.on('ready', () => console.log('client: ready'));
  client.once('data', (bytes) => {
    console.log('client: data', String(bytes));
    client.end('bye');
  });
  for (const event of ['end', 'finish']) client.on(event, () => console.log('client:', event));
  client.on('close', (hadError) => {
    console.log(
      'client: close',
      hadError,
      client.bytesRead,
      client.bytesWritten,
      client.readyState,
    );
  });
});
console.log('listen returns', server.listening, server.address() === null);
