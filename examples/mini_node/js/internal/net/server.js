'use strict';

// A server: an address at which it listens, and the connections that came.

const EventEmitter = require('events');
const native = internalBinding('tcp');
const Socket = require('internal/net/socket');
const { codedError, invalidArgType, listenError, socketError } = require('internal/io_errors');
const { checkPort, normalize } = require('internal/net/common');

// What the system says of a family of addresses that it does not have.
const EAFNOSUPPORT = -97;
const EINVAL = -22;

function Server(options, listener) {
  if (!(this instanceof Server)) return new Server(options, listener);
  EventEmitter.call(this);
  if (typeof options === 'function') {
    listener = options;
    options = {};
  } else if (options !== undefined && options !== null && typeof options !== 'object') {
    throw invalidArgType('options', 'of type object', options);
  }
  if (typeof listener === 'function') this.on('connection', listener);
  this._connections = 0;
  this._sockets = new Set();
  this._handle = null;
  this._unref = false;
  this._listening = false;
  this.allowHalfOpen = !!options?.allowHalfOpen;
  this.pauseOnConnect = !!options?.pauseOnConnect;
  this.noDelay = !!options?.noDelay;
  this.keepAlive = !!options?.keepAlive;
}
Object.setPrototypeOf(Server.prototype, EventEmitter.prototype);
Object.setPrototypeOf(Server, EventEmitter);

Server.prototype.listen = function(...args) {
  const { options, callback } = normalize(args);
  if (this._listening) {
    throw codedError('ERR_SERVER_ALREADY_LISTEN',
      'Listen method has been called more than once without closing.');
  }
  if (options.path !== undefined) {
    throw codedError('ERR_METHOD_NOT_IMPLEMENTED', 'Sockets with paths are not implemented');
  }
  const port = checkPort(typeof options.port === 'function' ? undefined : options.port ?? undefined,
                         'options.port');
  if (callback) this.once('listening', callback);
  this._listening = true;
  const backlog = options.backlog ?? (typeof args[2] === 'number' ? args[2] :
    typeof args[1] === 'number' ? args[1] : 511);
  if (!options.host) {
    listenAt(this, '::', port, backlog, true);
    return this;
  }
  require('dns').lookup(options.host, (error, address) => {
    if (error) {
      this._listening = false;
      this.emit('error', error);
    } else if (this._listening) {
      listenAt(this, address, port, backlog, false);
    }
  });
  return this;
};

function listenAt(server, address, port, backlog, isDefault) {
  const onConnection = (errno, handle) => acceptConnection(server, errno, handle);
  let [errno, handle] = native.listen(address, port, backlog, onConnection);
  // A machine without version 6 is served by version 4.
  if (isDefault && (errno === EAFNOSUPPORT || errno === EINVAL)) {
    address = '0.0.0.0';
    [errno, handle] = native.listen(address, port, backlog, onConnection);
  }
  if (errno) {
    server._listening = false;
    const error = listenError(errno, address, port);
    process.nextTick(() => server.emit('error', error));
    return;
  }
  server._handle = handle;
  if (server._unref) handle.setRef(false);
  process.nextTick(() => {
    if (server._handle === handle) server.emit('listening');
  });
}

function acceptConnection(server, errno, handle) {
  if (errno) {
    server.emit('error', socketError(errno, 'accept'));
    return;
  }
  if (server.maxConnections && server._connections >= server.maxConnections) {
    const [localAddress, localPort, localFamily] = handle.address() ?? [];
    const [remoteAddress, remotePort, remoteFamily] = handle.peer() ?? [];
    handle.close(() => {});
    server.emit('drop', {
      localAddress, localPort, localFamily, remoteAddress, remotePort, remoteFamily,
    });
    return;
  }
  if (server.noDelay) handle.setNoDelay(true);
  if (server.keepAlive) handle.setKeepAlive(true, 0);
  const socket = new Socket({
    handle, allowHalfOpen: server.allowHalfOpen, pauseOnCreate: server.pauseOnConnect,
  });
  server._connections++;
  server._sockets.add(socket);
  socket.server = server;
  socket._server = server;
  server.emit('connection', socket);
}

Server.prototype.close = function(callback) {
  if (typeof callback === 'function') {
    if (this._handle) {
      this.once('close', callback);
    } else {
      this.once('close', () => callback(
        codedError('ERR_SERVER_NOT_RUNNING', 'Server is not running.')));
    }
  }
  this._handle?.close();
  this._handle = null;
  this._listening = false;
  this._emitCloseIfDrained();
  return this;
};

Server.prototype._emitCloseIfDrained = function() {
  if (this._handle || this._connections > 0) return;
  process.nextTick(() => this.emit('close'));
};

Server.prototype.address = function() {
  const [address, port, family] = this._handle?.address() ?? [];
  return address === undefined ? null : { address, family, port };
};

Server.prototype.getConnections = function(callback) {
  process.nextTick(callback, null, this._connections);
  return this;
};

Server.prototype.ref = function() {
  this._unref = false;
  this._handle?.setRef(true);
  return this;
};

Server.prototype.unref = function() {
  this._unref = true;
  this._handle?.setRef(false);
  return this;
};

Object.defineProperty(Server.prototype, 'listening', {
  configurable: true, get() { return !!this._handle; },
});

module.exports = Server;
