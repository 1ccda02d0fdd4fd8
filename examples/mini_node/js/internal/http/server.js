'use strict';

// A server: for each connection the requests that come, and their responses in the same order.

const net = require('net');
const IncomingMessage = require('internal/http/incoming');
const OutgoingMessage = require('internal/http/outgoing');
const { codedError } = require('internal/io_errors');
const {
  MessageReader, STATUS_CODES, connectionReset, keepsAlive, validateHeaderName,
} = require('internal/http/common');

function ServerResponse(request) {
  OutgoingMessage.call(this);
  this.req = request;
  this.statusCode = 200;
  this.statusMessage = undefined;
  this.sendDate = true;
  if (request.method === 'HEAD') this._hasBody = false;
  // A client of HTTP/1.0 knows no chunks.
  if (request.httpVersionMinor < 1) this.useChunkedEncodingByDefault = false;
}
Object.setPrototypeOf(ServerResponse.prototype, OutgoingMessage.prototype);
Object.setPrototypeOf(ServerResponse, OutgoingMessage);

ServerResponse.prototype.assignSocket = function(socket) {
  socket._httpMessage = this;
  this.socket = socket;
  this.emit('socket', socket);
  this._flush();
};

ServerResponse.prototype.detachSocket = function(socket) {
  socket._httpMessage = null;
  this.socket = null;
};

ServerResponse.prototype._implicitHeader = function() {
  this.writeHead(this.statusCode);
};

ServerResponse.prototype.writeHead = function(status, reason, headers) {
  if (this._header) {
    throw codedError('ERR_HTTP_HEADERS_SENT',
                     'Cannot write headers after they are sent to the client');
  }
  const code = status | 0;
  if (code < 100 || code > 999) {
    throw codedError('ERR_HTTP_INVALID_STATUS_CODE', `Invalid status code: ${status}`, RangeError);
  }
  if (typeof reason !== 'string') {
    headers ??= reason;
    reason = this.statusMessage || STATUS_CODES[code] || 'unknown';
  }
  this.statusCode = code;
  this.statusMessage = reason;
  if (Array.isArray(headers)) {
    const pairs = Array.isArray(headers[0]) ? headers :
      headers.flatMap((name, at) => at % 2 === 0 ? [[name, headers[at + 1]]] : []);
    for (const [name] of pairs) this._headers.delete(String(name).toLowerCase());
    for (const [name, value] of pairs) this.appendHeader(name, value);
  } else if (headers) {
    for (const name of Object.keys(headers)) {
      validateHeaderName(name);
      this.setHeader(name, headers[name]);
    }
  }
  if (code === 204 || code === 304 || (code >= 100 && code <= 199)) this._hasBody = false;
  if (/[^\t\x20-\x7e\x80-\xff]/.test(reason)) {
    throw codedError('ERR_INVALID_CHAR', 'Invalid character in statusMessage', TypeError);
  }
  this._storeHeader(`HTTP/1.1 ${code} ${reason}\r\n`);
  return this;
};

ServerResponse.prototype.writeContinue = function(callback) {
  this._writeRaw('HTTP/1.1 100 Continue\r\n\r\n', 'latin1', callback);
};
ServerResponse.prototype.writeProcessing = function(callback) {
  this._writeRaw('HTTP/1.1 102 Processing\r\n\r\n', 'latin1', callback);
};

function Server(options, listener) {
  if (!(this instanceof Server)) return new Server(options, listener);
  if (typeof options === 'function') {
    listener = options;
    options = {};
  }
  net.Server.call(this, { ...options, allowHalfOpen: true, noDelay: options?.noDelay ?? true });
  if (listener) this.on('request', listener);
  this.timeout = 0;
  this.keepAliveTimeout = options?.keepAliveTimeout ?? 5000;
  this.headersTimeout = 60000;
  this.requestTimeout = 300000;
  this.maxHeadersCount = null;
  this.maxRequestsPerSocket = 0;
  this._requireHost = options?.requireHostHeader ?? true;
  this.on('connection', (socket) => serve(this, socket));
}
Object.setPrototypeOf(Server.prototype, net.Server.prototype);
Object.setPrototypeOf(Server, net.Server);

Server.prototype.close = function(callback) {
  net.Server.prototype.close.call(this, callback);
  this.closeIdleConnections();
  return this;
};

Server.prototype.closeIdleConnections = function() {
  for (const socket of this._sockets) {
    if (socket._httpState?.isIdle()) socket.destroy();
  }
};

Server.prototype.closeAllConnections = function() {
  for (const socket of this._sockets) socket.destroy();
};

Server.prototype.setTimeout = function(ms, callback) {
  this.timeout = ms;
  if (callback) this.on('timeout', callback);
  return this;
};

/** What is under way on one connection. */
class Connection {
  constructor(server, socket) {
    this.server = server;
    this.socket = socket;
    // Requests whose responses have not gone; responses that wait for those before them.
    this.requests = [];
    this.waiting = [];
    this.served = 0;
    this.keepAliveTimeoutSet = false;
    this.hasBegun = false;
    this.reader = new MessageReader(socket, true, {
      onHead: (head) => this.onRequest(head),
      onFault: (error) => this.onFault(error),
    });
  }

  isIdle() {
    // A connection on which nothing was asked yet counts as idle only once it has been used.
    return this.requests.length === 0 && !this.reader.incoming && this.served > 0;
  }

  onRequest(head) {
    const { server, socket } = this;
    const request = new IncomingMessage(socket, head);
    const response = new ServerResponse(request);
    if (this.keepAliveTimeoutSet) {
      this.keepAliveTimeoutSet = false;
      socket.setTimeout(server.timeout);
    }
    this.served++;
    this.requests.push(request);
    response.shouldKeepAlive = keepsAlive(head);
    response._keepAliveTimeout = server.keepAliveTimeout;
    if (server.maxRequestsPerSocket > 0 && this.served >= server.maxRequestsPerSocket) {
      response.maxRequestsOnConnectionReached = true;
    }
    if (socket._httpMessage) this.waiting.push(response);
    else response.assignSocket(socket);
    response.on('finish', () => this.onResponded(request, response));

    if (server._requireHost && head.minor === 1 && request.headers.host === undefined) {
      response.writeHead(400, ['Connection', 'close']);
      response.end();
    } else if (/^100-continue$/i.test(request.headers.expect ?? '')) {
      if (server.listenerCount('checkContinue') > 0) {
        server.emit('checkContinue', request, response);
      } else {
        response.writeContinue();
        server.emit('request', request, response);
      }
    } else if (request.headers.expect !== undefined) {
      if (server.listenerCount('checkExpectation') > 0) {
        server.emit('checkExpectation', request, response);
      } else {
        response.writeHead(417);
        response.end();
      }
    } else {
      server.emit('request', request, response);
    }
    return request;
  }

  onResponded(request, response) {
    const { server, socket } = this;
    this.requests.shift();
    if (!request._consumed) request._dump();
    response.detachSocket(socket);
    process.nextTick(() => {
      response.destroyed = true;
      response._closed = true;
      response.emit('close');
    });
    if (response._last) {
      socket.destroySoon();
    } else if (this.waiting.length > 0) {
      this.waiting.shift().assignSocket(socket);
    } else if (server.keepAliveTimeout) {
      socket.setTimeout(server.keepAliveTimeout);
      this.keepAliveTimeoutSet = true;
    }
  }

  onFault(error) {
    const { server, socket } = this;
    socket.removeAllListeners('data');
    socket.resume();
    if (server.emit('clientError', error, socket)) return;
    if (socket.writable && !socket._httpMessage?._headerSent) {
      const status = error.code === 'HPE_HEADER_OVERFLOW' ?
        '431 Request Header Fields Too Large' : '400 Bad Request';
      socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
    }
    socket.destroySoon();
  }

  /** What will never be complete any more. */
  abortRequests() {
    for (const request of this.requests.splice(0)) {
      if (!request.destroyed) request.destroy(connectionReset('aborted'));
    }
  }
}

function serve(server, socket) {
  const connection = new Connection(server, socket);
  socket._httpState = connection;
  socket._httpMessage = null;
  if (server.timeout) socket.setTimeout(server.timeout);
  socket.on('data', (bytes) => connection.reader.read(bytes));
  socket.on('end', () => {
    connection.reader.end(true);
    connection.abortRequests();
    if (socket.writable) socket.end();
  });
  socket.on('error', (error) => {
    if (!server.emit('clientError', error, socket) && !socket.destroyed) socket.destroy(error);
  });
  socket.on('drain', () => {
    const message = socket._httpMessage;
    if (message?.writableNeedDrain) {
      message.writableNeedDrain = false;
      message.emit('drain');
    }
  });
  socket.on('timeout', () => {
    const request = connection.reader.incoming ?? connection.requests[0];
    const isHeard = [
      request && !request.complete && request.emit('timeout', socket),
      socket._httpMessage?.emit('timeout', socket),
      server.emit('timeout', socket),
    ].some(Boolean);
    if (!isHeard) socket.destroy();
  });
  socket.on('close', () => {
    connection.reader.stop();
    connection.abortRequests();
    const response = socket._httpMessage;
    if (response && !response._closed) {
      response.destroyed = true;
      response._closed = true;
      response.emit('close');
    }
  });
}

module.exports = { Server, ServerResponse };
