'use strict';

// Both sides in one: Duplex, and Transform, whose output is made of its input.

const Stream = require('internal/streams/legacy');
const Readable = require('internal/streams/readable');
const Writable = require('internal/streams/writable');
const { codedError } = require('internal/io_errors');

function Duplex(options) {
  if (!(this instanceof Duplex)) return new Duplex(options);
  Readable.call(this, options);
  Writable.call(this, options);
  this.allowHalfOpen = options?.allowHalfOpen !== false;
  if (options?.readable === false) {
    this._readableState.readable = false;
    this._readableState.ended = true;
    this._readableState.endEmitted = true;
  }
  if (options?.writable === false) {
    this._writableState.writable = false;
    this._writableState.ending = true;
    this._writableState.ended = true;
    this._writableState.finished = true;
  }
}
Object.setPrototypeOf(Duplex.prototype, Readable.prototype);
Object.setPrototypeOf(Duplex, Readable);
Stream.Duplex = Duplex;

for (const name of Reflect.ownKeys(Writable.prototype)) {
  if (!(name in Duplex.prototype) || name === 'destroy') {
    Object.defineProperty(
      Duplex.prototype, name, Object.getOwnPropertyDescriptor(Writable.prototype, name));
  }
}
Object.defineProperty(Duplex.prototype, 'destroyed', {
  configurable: true,
  get() {
    return !!(this._readableState?.destroyed && this._writableState?.destroyed);
  },
  set(value) {
    if (this._readableState && this._writableState) {
      this._readableState.destroyed = value;
      this._writableState.destroyed = value;
    }
  },
});

const waiting = Symbol('the callback of the write that waits for room');

function Transform(options) {
  if (!(this instanceof Transform)) return new Transform(options);
  Duplex.call(this, options);
  this._readableState.sync = false;
  this[waiting] = null;
  if (typeof options?.transform === 'function') this._transform = options.transform;
  if (typeof options?.flush === 'function') this._flush = options.flush;
  this.on('prefinish', () => {
    if (this._final !== Transform.prototype._final) Transform.prototype._final.call(this);
  });
}
Object.setPrototypeOf(Transform.prototype, Duplex.prototype);
Object.setPrototypeOf(Transform, Duplex);

Transform.prototype._final = function(callback) {
  const done = (error, chunk) => {
    if (error) {
      if (callback) callback(error);
      else this.destroy(error);
      return;
    }
    if (chunk !== null && chunk !== undefined) this.push(chunk);
    this.push(null);
    callback?.();
  };
  if (typeof this._flush === 'function' && !this.destroyed) this._flush(done);
  else done();
};

Transform.prototype._transform = function() {
  throw codedError('ERR_METHOD_NOT_IMPLEMENTED', 'The _transform() method is not implemented');
};

Transform.prototype._write = function(chunk, encoding, callback) {
  const r = this._readableState;
  const w = this._writableState;
  const length = r.length;
  this._transform(chunk, encoding, (error, result) => {
    if (error) {
      callback(error);
      return;
    }
    if (result !== null && result !== undefined) this.push(result);
    if (w.ended || length === r.length || r.length < r.highWaterMark) callback();
    else this[waiting] = callback;
  });
};

Transform.prototype._read = function() {
  const callback = this[waiting];
  if (!callback) return;
  this[waiting] = null;
  callback();
};

function PassThrough(options) {
  if (!(this instanceof PassThrough)) return new PassThrough(options);
  Transform.call(this, options);
}
Object.setPrototypeOf(PassThrough.prototype, Transform.prototype);
Object.setPrototypeOf(PassThrough, Transform);

PassThrough.prototype._transform = function(chunk, encoding, callback) {
  callback(null, chunk);
};

module.exports = { Duplex, PassThrough, Transform };
