'use strict';

// A message that goes: its head, which is made when the first of its body is written, and the body,
// whose length is told beforehand where it is known, and else chunk by chunk.

const Stream = require('internal/streams/legacy');
const { Buffer } = require('buffer');
const { codedError, invalidArgType } = require('internal/io_errors');
const { validateHeaderName, validateHeaderValue } = require('internal/http/common');

function OutgoingMessage() {
  Stream.call(this);
  this.socket = null;
  this.destroyed = false;
  this.finished = false;
  this.writableNeedDrain = false;
  this.sendDate = false;
  this.shouldKeepAlive = true;
  this.useChunkedEncodingByDefault = true;
  this.chunkedEncoding = false;
  this.maxRequestsOnConnectionReached = false;
  // The connection ends behind this message.
  this._last = false;
  this._hasBody = true;
  this._contentLength = null;
  this._keepAliveTimeout = 0;
  // The text of the head, once it is made.
  this._header = null;
  this._headerSent = false;
  this._headers = new Map();
  this._removed = new Set();
  this._trailer = '';
  // What was written before there was a socket.
  this._output = [];
  this._outputSize = 0;
  this._closed = false;
  this.errored = null;
}
Object.setPrototypeOf(OutgoingMessage.prototype, Stream.prototype);
Object.setPrototypeOf(OutgoingMessage, Stream);

OutgoingMessage.prototype.setHeader = function(name, value) {
  if (this._header) {
    throw codedError('ERR_HTTP_HEADERS_SENT',
                     'Cannot set headers after they are sent to the client');
  }
  validateHeaderName(name);
  validateHeaderValue(name, value);
  this._headers.set(name.toLowerCase(), [name, value]);
  return this;
};

OutgoingMessage.prototype.setHeaders = function(headers) {
  for (const [name, value] of headers) this.setHeader(name, value);
  return this;
};

OutgoingMessage.prototype.appendHeader = function(name, value) {
  const before = this.getHeader(name);
  return this.setHeader(name, before === undefined ? value : [].concat(before, value));
};

OutgoingMessage.prototype.getHeader = function(name) {
  return this._headers.get(String(name).toLowerCase())?.[1];
};

OutgoingMessage.prototype.getHeaderNames = function() {
  return [...this._headers.keys()];
};

OutgoingMessage.prototype.getRawHeaderNames = function() {
  return [...this._headers.values()].map(([name]) => name);
};

OutgoingMessage.prototype.getHeaders = function() {
  const headers = Object.create(null);
  for (const [name, [, value]] of this._headers) headers[name] = value;
  return headers;
};

OutgoingMessage.prototype.hasHeader = function(name) {
  return this._headers.has(String(name).toLowerCase());
};

OutgoingMessage.prototype.removeHeader = function(name) {
  if (this._header) {
    throw codedError('ERR_HTTP_HEADERS_SENT',
                     'Cannot remove headers after they are sent to the client');
  }
  name = String(name).toLowerCase();
  if (name === 'date') this.sendDate = false;
  this._headers.delete(name);
  this._removed.add(name);
};

/** Makes the text of the head. */
OutgoingMessage.prototype._storeHeader = function(firstLine) {
  let text = firstLine;
  for (const [name, value] of this._headers.values()) {
    for (const one of Array.isArray(value) ? value : [value]) text += `${name}: ${one}\r\n`;
  }
  const has = (name) => this._headers.has(name);
  const connection = String(this.getHeader('connection') ?? '').toLowerCase();
  if (connection.includes('close')) this._last = true;
  else if (has('connection')) this.shouldKeepAlive = true;
  if (String(this.getHeader('transfer-encoding') ?? '').toLowerCase().includes('chunked')) {
    this.chunkedEncoding = true;
  }
  if (this.sendDate && !has('date')) text += `Date: ${new Date().toUTCString()}\r\n`;
  if (this.statusCode === 204 || this.statusCode === 304) this.chunkedEncoding = false;

  if (this._removed.has('connection')) {
    this._last = !this.shouldKeepAlive;
  } else if (!has('connection')) {
    const keepsAlive = this.shouldKeepAlive && !this.maxRequestsOnConnectionReached &&
      (has('content-length') || this.useChunkedEncodingByDefault || this.agent);
    if (keepsAlive) {
      text += 'Connection: keep-alive\r\n';
      if (this._keepAliveTimeout) {
        text += `Keep-Alive: timeout=${Math.floor(this._keepAliveTimeout / 1000)}\r\n`;
      }
    } else {
      this._last = true;
      text += 'Connection: close\r\n';
    }
  }
  if (!has('content-length') && !has('transfer-encoding')) {
    if (!this._hasBody) {
      this.chunkedEncoding = false;
    } else if (!this.useChunkedEncodingByDefault) {
      this._last = true;
    } else if (!has('trailer') && !this._removed.has('content-length') &&
               typeof this._contentLength === 'number') {
      text += `Content-Length: ${this._contentLength}\r\n`;
    } else if (!this._removed.has('transfer-encoding')) {
      text += 'Transfer-Encoding: chunked\r\n';
      this.chunkedEncoding = true;
    } else {
      this._last = true;
    }
  }
  this._header = `${text}\r\n`;
};

/** Sends bytes behind the head. */
OutgoingMessage.prototype._send = function(data, encoding, callback) {
  if (!this._headerSent) {
    this._headerSent = true;
    this._writeRaw(this._header, 'latin1');
  }
  return this._writeRaw(data, encoding, callback);
};

OutgoingMessage.prototype._writeRaw = function(data, encoding, callback) {
  const { socket } = this;
  if (socket?._httpMessage === this && socket.writable) {
    return socket.write(data, encoding, callback);
  }
  if (this.destroyed) return false;
  this._output.push([data, encoding, callback]);
  this._outputSize += data.length;
  return this._outputSize < 16 * 1024;
};

/** Sends what was written before there was a socket. */
OutgoingMessage.prototype._flush = function() {
  const { socket } = this;
  if (!socket?.writable) return;
  if (this._output.length > 0) {
    socket.cork();
    for (const [data, encoding, callback] of this._output.splice(0)) {
      socket.write(data, encoding, callback);
    }
    this._outputSize = 0;
    socket.uncork();
    if (this.writableNeedDrain) {
      this.writableNeedDrain = false;
      this.emit('drain');
    }
  }
  if (this.finished) this._finish();
};

OutgoingMessage.prototype._finish = function() {
  this.emit('prefinish');
};

OutgoingMessage.prototype.flushHeaders = function() {
  if (!this._header) this._implicitHeader();
  this._send('');
};

/** A chunk as bytes, or the error of one that is none. */
function toBytes(chunk, encoding) {
  if (typeof chunk === 'string') return Buffer.from(chunk, encoding);
  if (chunk instanceof Uint8Array) {
    return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
  if (chunk === null) {
    throw codedError('ERR_STREAM_NULL_VALUES', 'May not write null values to stream', TypeError);
  }
  throw invalidArgType('chunk', 'of type string or an instance of Buffer or Uint8Array', chunk);
}

function refuse(message, error, callback) {
  message.errored ??= error;
  process.nextTick(() => {
    if (typeof callback === 'function') callback(error);
    if (!message.destroyed || error.code === 'ERR_STREAM_WRITE_AFTER_END') {
      message.emit('error', error);
    }
  });
  return false;
}

OutgoingMessage.prototype.write = function(chunk, encoding, callback) {
  if (typeof encoding === 'function') {
    callback = encoding;
    encoding = undefined;
  }
  const bytes = toBytes(chunk, encoding);
  if (this.finished) {
    return refuse(
      this, codedError('ERR_STREAM_WRITE_AFTER_END', 'write after end'), callback);
  }
  if (this.destroyed) {
    return refuse(this, codedError(
      'ERR_STREAM_DESTROYED', 'Cannot call write after a stream was destroyed'), callback);
  }
  const hasRoom = writeBody(this, bytes, callback, false);
  if (!hasRoom) this.writableNeedDrain = true;
  return hasRoom;
};

function writeBody(message, bytes, callback, isEnd) {
  if (!message._header) {
    if (isEnd) message._contentLength ??= bytes.length;
    message._implicitHeader();
  }
  if (!message._hasBody) {
    if (callback) process.nextTick(callback);
    return true;
  }
  const { socket } = message;
  // What is written in one go leaves in one piece.
  if (!isEnd && socket && !socket.writableCorked) {
    socket.cork();
    process.nextTick(() => socket.uncork());
  }
  if (message.chunkedEncoding && bytes.length !== 0) {
    message._send(`${bytes.length.toString(16)}\r\n`, 'latin1');
    message._send(bytes, null);
    return message._send('\r\n', 'latin1', callback);
  }
  return message._send(bytes, null, callback);
}

OutgoingMessage.prototype.addTrailers = function(headers) {
  for (const [name, value] of Array.isArray(headers) ? headers : Object.entries(headers)) {
    validateHeaderName(name, 'Trailer name');
    validateHeaderValue(name, value);
    this._trailer += `${name}: ${value}\r\n`;
  }
};

OutgoingMessage.prototype.end = function(chunk, encoding, callback) {
  if (typeof chunk === 'function') {
    callback = chunk;
    chunk = encoding = undefined;
  } else if (typeof encoding === 'function') {
    callback = encoding;
    encoding = undefined;
  }
  const hasChunk = chunk !== null && chunk !== undefined && chunk !== '';
  const bytes = hasChunk ? toBytes(chunk, encoding) : null;
  if (this.finished) {
    if (hasChunk) {
      refuse(this, codedError('ERR_STREAM_WRITE_AFTER_END', 'write after end'), callback);
    } else if (typeof callback === 'function') {
      if (this.writableFinished) {
        callback(codedError('ERR_STREAM_ALREADY_FINISHED',
                            'Cannot call end after a stream was finished'));
      } else {
        this.on('finish', callback);
      }
    }
    return this;
  }
  const { socket } = this;
  socket?.cork();
  if (bytes) {
    writeBody(this, bytes, undefined, true);
  } else if (!this._header) {
    this._contentLength = 0;
    this._implicitHeader();
  }
  if (typeof callback === 'function') this.once('finish', callback);
  const onWritten = (error) => {
    if (error) return;
    this._isFlushed = true;
    this.emit('finish');
  };
  if (this._hasBody && this.chunkedEncoding) {
    this._send(`0\r\n${this._trailer}\r\n`, 'latin1', onWritten);
  } else {
    this._send('', 'latin1', onWritten);
  }
  if (socket) {
    socket._writableState.corked = 1;
    socket.uncork();
  }
  this.finished = true;
  if (this._output.length === 0 && this.socket?._httpMessage === this) this._finish();
  return this;
};

OutgoingMessage.prototype.destroy = function(error) {
  if (this.destroyed) return this;
  this.destroyed = true;
  this.errored = error ?? null;
  if (this.socket) this.socket.destroy(error);
  else this.once('socket', (socket) => socket.destroy(error));
  return this;
};

OutgoingMessage.prototype.setTimeout = function(ms, callback) {
  if (callback) this.on('timeout', callback);
  if (this.socket) this.socket.setTimeout(ms);
  else this.once('socket', (socket) => socket.setTimeout(ms));
  return this;
};

OutgoingMessage.prototype.cork = function() {
  this.socket?.cork();
};
OutgoingMessage.prototype.uncork = function() {
  this.socket?.uncork();
};

OutgoingMessage.prototype.pipe = function() {
  this.emit('error', codedError('ERR_STREAM_CANNOT_PIPE', 'Cannot pipe, not readable'));
};

function property(name, get) {
  Object.defineProperty(OutgoingMessage.prototype, name, { configurable: true, get });
}
property('connection', function() { return this.socket; });
property('headersSent', function() { return !!this._header; });
property('writable', function() { return !this.finished && !this.destroyed; });
property('writableEnded', function() { return this.finished; });
property('writableFinished', function() {
  return this.finished && this._output.length === 0 &&
    (!this.socket || this.socket.writableLength === 0);
});
property('writableLength', function() {
  return this._outputSize + (this.socket?.writableLength ?? 0);
});
property('writableHighWaterMark', function() {
  return this.socket?.writableHighWaterMark ?? 16 * 1024;
});
property('writableObjectMode', () => false);
property('writableCorked', function() { return this.socket?.writableCorked ?? 0; });
property('closed', function() { return this._closed; });

module.exports = OutgoingMessage;
