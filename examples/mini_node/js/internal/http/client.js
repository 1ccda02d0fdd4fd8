'use strict';

// A client: requests on connections that an agent keeps.

const net = require('net');
const EventEmitter = require('events');
const IncomingMessage = require('internal/http/incoming');
const OutgoingMessage = require('internal/http/outgoing');
const { codedError, invalidArgType } = require('internal/io_errors');
const { URL } = require('internal/url');
const {
  MessageReader, connectionReset, keepsAlive, validateHeaderName,
} = require('internal/http/common');

/** Connections by where they lead: those in use, those that are free, and who waits for one. */
class Agent extends EventEmitter {
  constructor(options) {
    super();
    this.options = { noDelay: true, ...options };
    this.keepAlive = !!options?.keepAlive;
    this.keepAliveMsecs = options?.keepAliveMsecs ?? 1000;
    this.maxSockets = options?.maxSockets ?? Infinity;
    this.maxFreeSockets = options?.maxFreeSockets ?? 256;
    this.sockets = {};
    this.freeSockets = {};
    this.requests = {};
    this.protocol = 'http:';
    this.defaultPort = 80;
  }

  getName(options) {
    return `${options.host || 'localhost'}:${options.port || ''}:${options.localAddress || ''}` +
      `${options.family === 4 || options.family === 6 ? `:${options.family}` : ''}`;
  }

  addRequest(request, options) {
    const name = this.getName(options);
    const free = this.freeSockets[name] ?? [];
    while (free.length > 0 && (free[0].destroyed || !free[0].writable)) free.shift();
    const socket = free.shift();
    if (free.length === 0) delete this.freeSockets[name];
    if (socket) {
      socket.ref();
      socket.setTimeout(0);
      request.reusedSocket = true;
      (this.sockets[name] ??= []).push(socket);
      request.onSocket(socket);
    } else if ((this.sockets[name]?.length ?? 0) < this.maxSockets) {
      request.onSocket(this.createSocket(name, options));
    } else {
      (this.requests[name] ??= []).push([request, options]);
    }
  }

  createConnection(options) {
    return net.connect(options);
  }

  createSocket(name, options) {
    const socket = this.createConnection({ ...this.options, ...options });
    (this.sockets[name] ??= []).push(socket);
    const forget = () => {
      for (const table of [this.sockets, this.freeSockets]) {
        const rest = (table[name] ?? []).filter((one) => one !== socket);
        if (rest.length > 0) table[name] = rest;
        else delete table[name];
      }
      this.serveNext(name);
    };
    socket.on('free', () => this.onFree(name, socket));
    socket.on('close', forget);
    socket.on('agentRemove', forget);
    socket.on('timeout', () => {
      if ((this.freeSockets[name] ?? []).includes(socket)) socket.destroy();
    });
    return socket;
  }

  serveNext(name) {
    const waiting = this.requests[name];
    if (!waiting || (this.sockets[name]?.length ?? 0) >= this.maxSockets) return;
    const [request, options] = waiting.shift();
    if (waiting.length === 0) delete this.requests[name];
    if (!request.destroyed) request.onSocket(this.createSocket(name, options));
  }

  onFree(name, socket) {
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    const waiting = this.requests[name];
    if (waiting) {
      const [request] = waiting.shift();
      if (waiting.length === 0) delete this.requests[name];
      request.onSocket(socket);
      return;
    }
    const free = this.freeSockets[name] ?? [];
    if (!this.keepAlive || !socket._keepsAlive || free.length >= this.maxFreeSockets) {
      socket.destroy();
      return;
    }
    this.sockets[name] = (this.sockets[name] ?? []).filter((one) => one !== socket);
    if (this.sockets[name].length === 0) delete this.sockets[name];
    this.freeSockets[name] = [...free, socket];
    socket.setKeepAlive(true, this.keepAliveMsecs);
    // A connection that nobody uses holds no program.
    socket.unref();
    if (socket._keepAliveHint) socket.setTimeout(socket._keepAliveHint);
    this.emit('free', socket, {});
  }

  destroy() {
    for (const table of [this.sockets, this.freeSockets]) {
      for (const socket of Object.values(table).flat()) socket.destroy();
    }
  }
}

const globalAgent = new Agent({ keepAlive: true, timeout: 5000 });

/** The options of a request out of a URL, options, or both. */
function normalize(input, options, callback) {
  let fromUrl = {};
  if (typeof input === 'string' || input instanceof URL) {
    const url = typeof input === 'string' ? new URL(input) : input;
    fromUrl = {
      protocol: url.protocol,
      hostname: url.hostname.replace(/^\[(.*)\]$/, '$1'),
      path: `${url.pathname}${url.search}`,
    };
    if (url.port !== '') fromUrl.port = Number(url.port);
    if (url.username || url.password) {
      fromUrl.auth = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    }
  } else {
    callback = options;
    options = input;
  }
  if (typeof options === 'function') {
    callback = options;
    options = {};
  }
  return [{ ...fromUrl, ...options }, callback];
}

function ClientRequest(input, second, third) {
  OutgoingMessage.call(this);
  const [options, callback] = normalize(input, second, third);
  const agent = options.agent === false ? new Agent() : options.agent ?? globalAgent;
  const protocol = options.protocol ?? agent.protocol;
  if (protocol !== agent.protocol) {
    throw codedError('ERR_INVALID_PROTOCOL',
      `Protocol "${protocol}" not supported. Expected "${agent.protocol}"`, TypeError);
  }
  if (options.path && /[^\x21-\xff]/.test(options.path)) {
    throw codedError(
      'ERR_UNESCAPED_CHARACTERS', 'Request path contains unescaped characters', TypeError);
  }
  if (options.method !== undefined && options.method !== null &&
      typeof options.method !== 'string') {
    throw invalidArgType('options.method', 'of type string', options.method);
  }
  this.agent = agent;
  this.method = (options.method || 'GET').toUpperCase();
  validateHeaderName(this.method, 'Method');
  this.path = options.path || '/';
  this.host = options.hostname || options.host || 'localhost';
  this.protocol = protocol;
  this.port = options.port || options.defaultPort || agent.defaultPort;
  this.res = null;
  this.reusedSocket = false;
  this.aborted = false;
  this.shouldKeepAlive = agent.keepAlive;
  this.useChunkedEncodingByDefault =
    !['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT'].includes(this.method);
  if (callback) this.once('response', callback);
  const headers = options.headers ?? {};
  if (Array.isArray(headers)) {
    for (let at = 0; at < headers.length; at += 2) this.appendHeader(headers[at], headers[at + 1]);
  } else {
    for (const name of Object.keys(headers)) this.setHeader(name, headers[name]);
  }
  if (!this.hasHeader('host') && options.setHost !== false) {
    const host = this.host.includes(':') ? `[${this.host}]` : this.host;
    const isUsual = +this.port === agent.defaultPort;
    this.setHeader('Host', isUsual ? host : `${host}:${this.port}`);
  }
  if (options.auth && !this.hasHeader('authorization')) {
    const { Buffer } = require('buffer');
    this.setHeader('Authorization', `Basic ${Buffer.from(options.auth).toString('base64')}`);
  }
  if (options.timeout) this.setTimeout(options.timeout);
  agent.addRequest(this, { ...options, host: this.host, port: this.port, path: undefined });
}
Object.setPrototypeOf(ClientRequest.prototype, OutgoingMessage.prototype);
Object.setPrototypeOf(ClientRequest, OutgoingMessage);

ClientRequest.prototype._implicitHeader = function() {
  this._storeHeader(`${this.method} ${this.path} HTTP/1.1\r\n`);
};

ClientRequest.prototype.onSocket = function(socket) {
  process.nextTick(() => {
    if (this.destroyed) {
      if (!socket.destroyed) socket.destroy(this.errored);
      this.emit('error', this.errored ?? connectionReset('socket hang up'));
      this._closed = true;
      this.emit('close');
      return;
    }
    attach(this, socket);
    this._flush();
  });
};

/** Joins a request and its connection until the response has come. */
function attach(request, socket) {
  request.socket = socket;
  socket._httpMessage = request;
  const reader = new MessageReader(socket, false, {
    onHead: (head) => onResponse(request, head),
    onFault: (error) => {
      socket.removeListener('data', onData);
      socket.removeListener('end', onEnd);
      socket.destroy();
      socket._hadError = true;
      request.emit('error', error);
    },
  });
  reader.parser.expectNoBody(request.method === 'HEAD');
  const onData = (bytes) => reader.read(bytes);
  const hangUp = () => {
    if (socket._hadError) return;
    socket._hadError = true;
    request.emit('error', connectionReset('socket hang up'));
  };
  const onEnd = () => {
    if (!request.res) hangUp();
    reader.end(false);
    reader.stop();
    socket.end();
  };
  const onError = (error) => {
    socket._hadError = true;
    request.emit('error', error);
    reader.stop();
    socket.removeListener('data', onData);
    socket.removeListener('end', onEnd);
    socket.destroy();
  };
  const onClose = () => {
    const { res } = request;
    request.destroyed = true;
    reader.end(false);
    if (!res) hangUp();
    else if (!res.complete) res.destroy(connectionReset('aborted'));
    request._closed = true;
    request.emit('close');
    if (res && !res.aborted && res.readable) res.push(null);
    reader.stop();
  };
  const onDrain = () => {
    if (request.writableNeedDrain) {
      request.writableNeedDrain = false;
      request.emit('drain');
    }
  };
  const onTimeout = () => request.emit('timeout');
  const listeners = [
    ['data', onData], ['end', onEnd], ['error', onError], ['close', onClose], ['drain', onDrain],
    ['timeout', onTimeout],
  ];
  for (const [event, listener] of listeners) socket.on(event, listener);
  // Nobody uses the connection for a moment; an error then is nobody's.
  const ignore = () => {};
  socket.removeListener('error', socket._ignoreErrors ?? ignore);
  function detach() {
    for (const [event, listener] of listeners) socket.removeListener(event, listener);
    socket._ignoreErrors = ignore;
    socket.on('error', ignore);
    reader.stop();
    if (socket._httpMessage === request) socket._httpMessage = null;
  }
  request._release = detach;
  request.emit('socket', socket);
}

function onResponse(request, head) {
  const { socket } = request;
  if (head.statusCode >= 100 && head.statusCode < 200 && head.statusCode !== 101) {
    if (head.statusCode === 100) request.emit('continue');
    request.emit('information', {
      statusCode: head.statusCode, statusMessage: head.statusMessage, httpVersion: '1.1',
      rawHeaders: head.headers,
    });
    return null;
  }
  const response = new IncomingMessage(socket, head);
  request.res = response;
  response.req = request;
  // Where nothing tells the length of the body, the end of the connection does.
  const tellsLength = response.headers['content-length'] !== undefined ||
    /chunked/i.test(response.headers['transfer-encoding'] ?? '') ||
    [204, 304].includes(head.statusCode);
  if (!keepsAlive(head) || !tellsLength) request.shouldKeepAlive = false;
  const hint = /timeout=(\d+)/.exec(response.headers['keep-alive'] ?? '');
  // A second less than the server, so that it does not hang up while we ask.
  socket._keepAliveHint = hint ? Math.max(hint[1] * 1000 - 1000, 1) : 0;
  const release = () => {
    request._ended = true;
    if (!request.shouldKeepAlive) {
      if (socket.writable) socket.destroySoon();
    } else if (request.writableFinished && !response.aborted) {
      freeSocket(request);
    } else {
      request.once('finish', () => freeSocket(request));
    }
  };
  response.on('end', release);
  if (request.aborted || !request.emit('response', response)) response._dump();
  return response;
}

function freeSocket(request) {
  const { socket } = request;
  if (request._isFreed || socket.destroyed) return;
  request._isFreed = true;
  request.destroyed = true;
  request._release();
  // What is left of the response no longer has to do with the connection.
  request.res.socket = null;
  socket._keepsAlive = true;
  process.nextTick(() => {
    request._closed = true;
    request.emit('close');
    socket.emit('free');
  });
}

ClientRequest.prototype.destroy = function(error) {
  if (this.destroyed) return this;
  this.destroyed = true;
  this.res?._dump();
  this.errored = error ?? null;
  if (this.socket) this.socket.destroy(error);
  return this;
};

ClientRequest.prototype.abort = function() {
  if (this.aborted) return;
  this.aborted = true;
  process.nextTick(() => this.emit('abort'));
  this.destroy();
};

ClientRequest.prototype.setNoDelay = function(on) {
  if (this.socket) this.socket.setNoDelay(on);
  else this.once('socket', (socket) => socket.setNoDelay(on));
};

module.exports = { Agent, ClientRequest, globalAgent };
