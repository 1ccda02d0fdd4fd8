'use strict';

// HTTP/1.1, a server and a client, on the sockets of `net`.

const { METHODS, STATUS_CODES, validateHeaderName, validateHeaderValue } =
  require('internal/http/common');
const IncomingMessage = require('internal/http/incoming');
const OutgoingMessage = require('internal/http/outgoing');
const { Server, ServerResponse } = require('internal/http/server');
const { Agent, ClientRequest, globalAgent } = require('internal/http/client');

function request(input, options, callback) {
  return new ClientRequest(input, options, callback);
}

function get(input, options, callback) {
  const made = request(input, options, callback);
  made.end();
  return made;
}

module.exports = {
  Agent,
  ClientRequest,
  IncomingMessage,
  METHODS,
  OutgoingMessage,
  STATUS_CODES,
  Server,
  ServerResponse,
  createServer: (options, listener) => new Server(options, listener),
  get,
  globalAgent,
  maxHeaderSize: 16384,
  request,
  validateHeaderName,
  validateHeaderValue,
};
