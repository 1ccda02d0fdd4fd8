'use strict';

// A message that comes: a request at a server, a response at a client. Its body is a stream.

const { Readable } = require('stream');

// Headers of which the first alone counts; others of one name are joined.
const single = new Set([
  'age', 'authorization', 'content-length', 'content-type', 'etag', 'expires', 'from', 'host',
  'if-modified-since', 'if-unmodified-since', 'last-modified', 'location', 'max-forwards',
  'proxy-authorization', 'referer', 'retry-after', 'server', 'user-agent',
]);

function IncomingMessage(socket, head) {
  Readable.call(this, { autoDestroy: true, highWaterMark: socket?.readableHighWaterMark });
  this.socket = socket;
  this.httpVersionMajor = 1;
  this.httpVersionMinor = head?.minor ?? 1;
  this.httpVersion = `1.${this.httpVersionMinor}`;
  this.complete = false;
  this.rawHeaders = head?.headers ?? [];
  this.rawTrailers = [];
  this.trailers = {};
  this.aborted = false;
  this.upgrade = null;
  this.url = head?.url ?? '';
  this.method = head?.method || null;
  this.statusCode = head?.statusCode || null;
  this.statusMessage = head?.method ? null : head?.statusMessage ?? null;
  this._consumed = false;
  this._dumped = false;
}
Object.setPrototypeOf(IncomingMessage.prototype, Readable.prototype);
Object.setPrototypeOf(IncomingMessage, Readable);

function joined(raw) {
  const headers = {};
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at].toLowerCase();
    const value = raw[at + 1];
    if (name === 'set-cookie') (headers[name] ??= []).push(value);
    else if (headers[name] === undefined) headers[name] = value;
    else if (!single.has(name)) headers[name] += `${name === 'cookie' ? '; ' : ', '}${value}`;
  }
  return headers;
}

Object.defineProperty(IncomingMessage.prototype, 'headers', {
  configurable: true,
  get() {
    this._headers ??= joined(this.rawHeaders);
    return this._headers;
  },
  set(value) { this._headers = value; },
});
Object.defineProperty(IncomingMessage.prototype, 'headersDistinct', {
  configurable: true,
  get() {
    const headers = {};
    for (let at = 0; at < this.rawHeaders.length; at += 2) {
      (headers[this.rawHeaders[at].toLowerCase()] ??= []).push(this.rawHeaders[at + 1]);
    }
    return headers;
  },
});
Object.defineProperty(IncomingMessage.prototype, 'connection', {
  configurable: true, get() { return this.socket; },
});

IncomingMessage.prototype.setTimeout = function(ms, callback) {
  if (callback) this.on('timeout', callback);
  this.socket.setTimeout(ms);
  return this;
};

IncomingMessage.prototype._read = function() {
  this._consumed = true;
  // The connection rests while nobody takes the body.
  if (this.socket?.readable) this.socket.resume();
};

IncomingMessage.prototype._destroy = function(error, callback) {
  if (!this.readableEnded || !this.complete) {
    this.aborted = true;
    this.emit('aborted');
  }
  const done = () => process.nextTick(callback, this.listenerCount('error') > 0 ? error : null);
  // Of a message that is cut off, nothing more can come on this connection.
  if (this.socket && !this.socket.destroyed && this.aborted) {
    this.socket.once('close', done);
    this.socket.destroy(error);
  } else {
    done();
  }
};

/** Lets the body go by that nobody has asked for. */
IncomingMessage.prototype._dump = function() {
  if (this._dumped) return;
  this._dumped = true;
  this.resume();
};

module.exports = IncomingMessage;
