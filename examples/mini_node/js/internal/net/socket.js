'use strict';

// A socket as a stream. Who is told what in which phase is as in Node: 'connect' and 'data' in
// poll, 'close' in the close phase, an error found in a call in a tick.

const stream = require('stream');
const { Buffer } = require('buffer');
const { clearTimeout, setTimeout } = require('timers');
const native = internalBinding('tcp');
const { isIP } = internalBinding('dns');
const { codedError, connectError, invalidArgType, outOfRange, socketError, withoutFrames } =
  require('internal/io_errors');
const { checkPort, normalize } = require('internal/net/common');
const { validateFunction, validateNumber } = require('internal/validators');

const nothing = () => {};

function Socket(options) {
  if (!(this instanceof Socket)) return new Socket(options);
  options = { ...options, emitClose: false, autoDestroy: true, decodeStrings: false };
  options.allowHalfOpen = !!options.allowHalfOpen;
  this.connecting = false;
  this._handle = options.handle ?? null;
  this._host = null;
  this.server = null;
  this._server = null;
  this._hadError = false;
  this._reading = false;
  this._timer = null;
  this.timeout = 0;
  this._bytesRead = 0;
  this._bytesDispatched = 0;
  this._noDelay = !!options.noDelay;
  this._keepAlive = !!options.keepAlive;
  this._unref = false;
  stream.Duplex.call(this, options);
  // A peer that has ended may be written to only where that is asked for.
  this.on('end', () => {
    if (!this.allowHalfOpen) this.write = writeAfterEnd;
  });
  if (this._handle) {
    if (options.pauseOnCreate) this.pause();
    else this.read(0);
  }
}
Object.setPrototypeOf(Socket.prototype, stream.Duplex.prototype);
Object.setPrototypeOf(Socket, stream.Duplex);

/** What `write` becomes when the peer has ended: an error that names it, once we have ended too. */
function writeAfterEnd(chunk, encoding, callback) {
  if (!this.writableEnded) {
    return stream.Duplex.prototype.write.call(this, chunk, encoding, callback);
  }
  if (typeof encoding === 'function') callback = encoding;
  const error = new Error('This socket has been ended by the other party');
  error.code = 'EPIPE';
  if (typeof callback === 'function') process.nextTick(callback, error);
  this.destroy(error);
  return false;
}

Socket.prototype.connect = function(...args) {
  const { options, callback } = normalize(args);
  if (options.path !== undefined) {
    throw codedError('ERR_METHOD_NOT_IMPLEMENTED', 'Sockets with paths are not implemented');
  }
  if (options.port === undefined) {
    throw codedError('ERR_MISSING_ARGS',
      'The "options" or "port" or "path" argument must be specified', TypeError);
  }
  if (options.port !== undefined && typeof options.port !== 'number' && typeof options.port !== 'string') {
    throw invalidArgType('options.port', 'one of type number or string', options.port);
  }
  const port = checkPort(options.port, 'Port');
  if (this.destroyed) {
    this._readableState = new stream.Readable.ReadableState({}, true);
    this._writableState = new stream.Writable.WritableState({ decodeStrings: false }, true);
    for (const state of [this._readableState, this._writableState]) state.emitClose = false;
    this._handle = null;
    delete this.write;
  }
  if (options.noDelay) this._noDelay = true;
  if (callback) this.once('connect', callback);
  this.connecting = true;
  this._refreshTimer();
  const host = options.host || 'localhost';
  if (typeof host !== 'string') throw invalidArgType('hostname', 'of type string', host);
  if (isIP(host)) {
    process.nextTick(() => {
      if (this.connecting) connectTo(this, [host], port, []);
    });
    return this;
  }
  if (options.lookup !== undefined) validateFunction(options.lookup, 'options.lookup');
  this._host = host;
  const lookup = options.lookup ?? require('dns').lookup;
  lookup(host, { family: options.family ?? 0, all: true }, (error, found) => {
    if (!this.connecting) return;
    if (error) {
      this.emit('lookup', error, undefined, undefined, host);
      process.nextTick(() => this.destroy(error));
      return;
    }
    const addresses = Array.isArray(found) ? found : [{ address: found, family: isIP(found) }];
    for (const { address, family } of addresses) {
      this.emit('lookup', null, address, family, host);
    }
    process.nextTick(() => {
      if (this.connecting) connectTo(this, addresses.map((one) => one.address), port, []);
    });
  });
  return this;
};

/** Tries the addresses one after the other. */
function connectTo(socket, addresses, port, errors) {
  const [address, ...others] = addresses;
  socket.emit('connectionAttempt', address, port, isIP(address));
  const cancel = native.connect(address, port, (errno, handle) => {
    socket._cancelConnect = null;
    if (socket.destroyed) {
      handle?.close(nothing);
      return;
    }
    if (!errno) {
      onConnected(socket, handle);
      return;
    }
    const error = withoutFrames(connectError(errno, address, port));
    socket.emit('connectionAttemptFailed', address, port, isIP(address), error);
    errors.push(error);
    if (!socket.connecting) return;
    if (others.length > 0) {
      connectTo(socket, others, port, errors);
      return;
    }
    socket.connecting = false;
    if (errors.length === 1) {
      socket.destroy(error);
    } else {
      const all = new AggregateError(errors);
      all.code = errors[0].code;
      socket.destroy(all);
    }
  });
  socket._cancelConnect = cancel;
}

function onConnected(socket, handle) {
  socket._handle = handle;
  socket.connecting = false;
  if (socket._noDelay) handle.setNoDelay(true);
  if (socket._keepAlive) handle.setKeepAlive(true, 0);
  if (socket._unref) handle.setRef(false);
  socket._refreshTimer();
  socket.emit('connect');
  socket.emit('ready');
  // The first read also finds out whether the peer has ended already.
  if (socket.readable && !socket.isPaused()) socket.read(0);
}

Socket.prototype._read = function() {
  if (this.connecting || !this._handle) {
    this.once('connect', () => this._read());
  } else if (!this._reading) {
    this._reading = true;
    this._handle.readStart((errno, bytes) => onRead(this, errno, bytes));
  }
};

function onRead(socket, errno, bytes) {
  if (socket.destroyed) return;
  socket._refreshTimer();
  if (errno) {
    socket.destroy(withoutFrames(socketError(errno, 'read')));
  } else if (bytes === undefined) {
    socket._reading = false;
    socket.push(null);
    socket.read(0);
  } else {
    socket._bytesRead += bytes.byteLength;
    if (!socket.push(Buffer.from(bytes)) && socket._handle) {
      socket._reading = false;
      socket._handle.readStop();
    }
  }
}

Socket.prototype._write = function(data, encoding, callback) {
  writeBytes(this, typeof data === 'string' ? Buffer.from(data, encoding) : data, callback);
};

Socket.prototype._writev = function(chunks, callback) {
  const all = chunks.map(({ chunk, encoding }) =>
    typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk);
  writeBytes(this, Buffer.concat(all), callback);
};

function writeBytes(socket, bytes, callback) {
  if (socket.connecting) {
    const onClose = () => callback(codedError(
      'ERR_SOCKET_CLOSED_BEFORE_CONNECTION',
      'Socket closed before the connection was established'));
    socket.once('connect', () => {
      socket.off('close', onClose);
      writeBytes(socket, bytes, callback);
    });
    socket.once('close', onClose);
    return;
  }
  if (!socket._handle) {
    callback(codedError('ERR_SOCKET_CLOSED', 'Socket is closed'));
    return;
  }
  socket._refreshTimer();
  socket._bytesDispatched += bytes.length;
  const taken = socket._handle.write(bytes, (errno) => {
    if (socket.destroyed) {
      callback(codedError(
        'ERR_STREAM_DESTROYED', 'Cannot call write after a stream was destroyed'));
      return;
    }
    if (errno) {
      socket.destroy(withoutFrames(socketError(errno, 'write')), callback);
      return;
    }
    socket._refreshTimer();
    callback(null);
  });
  if (taken) callback(null);
}

Socket.prototype._final = function(callback) {
  if (this.connecting) {
    this.once('connect', () => this._final(callback));
  } else if (!this._handle) {
    callback();
  } else {
    this._handle.shutdown((errno) => {
      // A connection that is gone has nothing to end.
      if (this.destroyed || !errno || errno === -107) callback();
      else callback(socketError(errno, 'shutdown'));
    });
  }
};

Socket.prototype.end = function(data, encoding, callback) {
  stream.Duplex.prototype.end.call(this, data, encoding, callback);
  return this;
};

Socket.prototype.destroySoon = function() {
  if (this.writable) this.end();
  if (this.writableFinished) this.destroy();
  else this.once('finish', this.destroy);
};

Socket.prototype._destroy = function(error, callback) {
  this.connecting = false;
  clearTimeout(this._timer);
  this._timer = null;
  this._cancelConnect?.();
  this._cancelConnect = null;
  const handle = this._handle;
  const onClosed = () => this.emit('close', !!error);
  if (handle) {
    this._handle = null;
    this._names = { local: handle.address(), peer: handle.peer() };
    if (this._resets) handle.reset(onClosed);
    else handle.close(onClosed);
    callback(error);
  } else {
    callback(error);
    process.nextTick(onClosed);
  }
  if (this._server) {
    const server = this._server;
    this._server = null;
    server._connections--;
    server._sockets.delete(this);
    server._emitCloseIfDrained();
  }
};

Socket.prototype.resetAndDestroy = function() {
  if (this._handle) {
    this._resets = true;
    this.destroy();
  } else if (this.connecting) {
    this.once('connect', () => this.resetAndDestroy());
  } else {
    this.destroy(codedError('ERR_SOCKET_CLOSED', 'Socket is closed'));
  }
  return this;
};

Socket.prototype.setTimeout = function(ms, callback) {
  if (this.destroyed) return this;
  validateNumber(ms, 'msecs');
  if (!(ms >= 0) || ms === Infinity) throw outOfRange('msecs', 'a non-negative finite number', ms);
  this.timeout = ms;
  clearTimeout(this._timer);
  this._timer = null;
  if (callback !== undefined) validateFunction(callback, 'callback');
  if (ms === 0) {
    if (callback) this.removeListener('timeout', callback);
  } else {
    this._timer = setTimeout(() => {
      // What is still being sent is no idleness.
      if (this._handle?.writeQueueSize() > 0 && this._queued !== this._handle.writeQueueSize()) {
        this._queued = this._handle.writeQueueSize();
        this._refreshTimer();
      } else {
        this.emit('timeout');
      }
    }, ms).unref();
    if (callback) this.once('timeout', callback);
  }
  return this;
};

Socket.prototype._refreshTimer = function() {
  this._timer?.refresh();
};

Socket.prototype.setNoDelay = function(on = true) {
  this._noDelay = !!on;
  this._handle?.setNoDelay(this._noDelay);
  return this;
};

Socket.prototype.setKeepAlive = function(on = false, delay = 0) {
  this._keepAlive = !!on;
  this._handle?.setKeepAlive(this._keepAlive, delay / 1000);
  return this;
};

Socket.prototype.ref = function() {
  this._unref = false;
  this._handle?.setRef(true);
  return this;
};

Socket.prototype.unref = function() {
  this._unref = true;
  this._handle?.setRef(false);
  return this;
};

Socket.prototype.address = function() {
  const [address, port, family] = this._name('local');
  return address === undefined ? {} : { address, family, port };
};

/** The parts of this side's name or the peer's; after the end those that there were. */
Socket.prototype._name = function(side) {
  if (this._handle) return (side === 'local' ? this._handle.address() : this._handle.peer()) ?? [];
  return this._names?.[side] ?? [];
};

function property(name, get) {
  Object.defineProperty(Socket.prototype, name, { configurable: true, enumerable: false, get });
}
property('localAddress', function() { return this._name('local')[0]; });
property('localPort', function() { return this._name('local')[1]; });
property('localFamily', function() { return this._name('local')[2]; });
property('remoteAddress', function() { return this._name('peer')[0]; });
property('remotePort', function() { return this._name('peer')[1]; });
property('remoteFamily', function() { return this._name('peer')[2]; });
property('bytesRead', function() { return this._bytesRead; });
property('bytesWritten', function() {
  return this._bytesDispatched + (this._handle || this.connecting ? this._pendingBytes() : 0);
});
property('pending', function() { return !this._handle || this.connecting; });
property('readyState', function() {
  if (this.connecting) return 'opening';
  if (this.readable && this.writable) return 'open';
  if (this.readable) return 'readOnly';
  return this.writable ? 'writeOnly' : 'closed';
});

Socket.prototype._pendingBytes = function() {
  const state = this._writableState;
  let bytes = 0;
  for (const { chunk, encoding } of state.getBuffer()) {
    bytes += chunk instanceof Uint8Array ? chunk.length : Buffer.byteLength(chunk, encoding);
  }
  return this.connecting ? bytes + state.writeLength : bytes;
};

module.exports = Socket;
