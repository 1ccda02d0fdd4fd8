'use strict';

// TCP.

const { isIP } = internalBinding('dns');
const { normalize } = require('internal/net/common');
const Socket = require('internal/net/socket');
const Server = require('internal/net/server');

function connect(...args) {
  const { options } = normalize(args);
  const socket = new Socket(options);
  if (options.timeout) socket.setTimeout(options.timeout);
  return socket.connect(...args);
}

module.exports = {
  Server,
  Socket,
  Stream: Socket,
  connect,
  createConnection: connect,
  createServer: (options, listener) => new Server(options, listener),
  isIP: (text) => typeof text === 'string' ? isIP(text) : 0,
  isIPv4: (text) => module.exports.isIP(text) === 4,
  isIPv6: (text) => module.exports.isIP(text) === 6,
};
