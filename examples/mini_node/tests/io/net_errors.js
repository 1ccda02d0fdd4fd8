'use strict';

// What goes wrong with sockets, and how it is told.

const net = require('net');

const tell = (name, error) => {
  const { code, syscall, address } = error;
  console.log(name, error.constructor.name, code, syscall, address, error.message);
};

const steps = [
  (next) => {
    const socket = net.connect(1, '127.0.0.1');
    socket.on('error', (error) => tell('refused', error));
    socket.on('close', (hadError) => {
      console.log('close', hadError, socket.destroyed);
      next();
    });
  },
  (next) => {
    const first = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = first.address();
      const second = net.createServer();
      second.on('error', (error) => {
        console.log('in use', error.code, error.errno, error.syscall, error.port === port);
        first.close(next);
      });
      second.listen(port, '127.0.0.1', () => console.log('never'));
    });
  },
  (next) => {
    const server = net.createServer((socket) => {
      socket.setTimeout(20, () => {
        console.log('idle');
        socket.destroy(new Error('too slow'));
      });
      socket.on('error', (error) => console.log('server error', error.message));
      socket.on('close', (hadError) => {
        console.log('server close', hadError);
        server.close(next);
      });
    }).listen(0, () => {
      const client = net.connect(server.address().port);
      client.on('end', () => console.log('client end'));
      client.on('close', (hadError) => console.log('client close', hadError));
    });
  },
  (next) => {
    const server = net.createServer((socket) => socket.resetAndDestroy()).listen(0, () => {
      const client = net.connect(server.address().port, '127.0.0.1');
      client.on('error', (error) => console.log('reset', error.code));
      client.on('close', (hadError) => {
        console.log('client close', hadError);
        server.close(next);
      });
    });
  },
  (next) => {
    const server = net.createServer();
    server.close((error) => {
      tell('not running', error);
      next();
    });
  },
  (next) => {
    const socket = new net.Socket();
    socket.on('error', (error) => tell('write', error));
    socket.on('close', next);
    socket.write('x', (error) => console.log('write callback', error?.code));
  },
  (next) => {
    const server = net.createServer((socket) => socket.end('bye')).listen(0, '127.0.0.1', () => {
      const client = net.connect(server.address().port, '127.0.0.1');
      client.resume();
      client.on('end', () => {
        client.write('late', (error) => console.log('late', error?.code));
      });
      client.on('error', (error) => tell('late', error));
      client.on('close', () => server.close(next));
    });
  },
];

(function next() {
  const step = steps.shift();
  if (step) step(next);
  else console.log('done');
})();

for (const wrong of [
  () => net.connect({ port: 70000 }), () => net.connect({}), () => net.createServer().listen(-1),
  () => net.createServer(5), () => new net.Socket().setTimeout('x'),
  () => net.connect({ port: null }), () => net.connect({ port: true }), () => net.connect({ port: 1, host: {} }),
  () => net.connect({ port: 1, host: 5 }),
]) {
  try {
    wrong();
  } catch (error) {
    console.log(error.name, error.code, error.message);
  }
}
console.log(net.isIP('::1'), net.isIP('1.2.3.4'), net.isIP('x'), net.isIPv6('::ffff:1.2.3.4'));
