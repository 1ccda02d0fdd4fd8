'use strict';

// Files as streams: opened before the first read or write, closed after the last.

const fs = require('fs');
const { Buffer } = require('buffer');
const { Readable, Writable } = require('stream');
const { outOfRange } = require('internal/io_errors');
const { validateInteger } = require('internal/validators');
const { toBytes, toOptions, toPath } = require('internal/fs/utils');

/** The options of both, and what the stream has of them. */
function adopt(stream, path, options, flags) {
  options = { emitClose: true, ...toOptions(options, {}) };
  if (options.fd === undefined || options.fd === null) {
    stream.fd = null;
    stream.path = toPath(path);
    stream.flags = options.flags ?? flags;
    stream.mode = options.mode ?? 0o666;
  } else if (typeof options.fd === 'object') {
    // A FileHandle, which closes itself.
    stream.handle = options.fd;
    stream.fd = options.fd.fd;
  } else {
    stream.fd = options.fd;
  }
  options.autoDestroy = options.autoClose ?? true;
  stream.start = options.start;
  if (stream.start !== undefined) validateInteger(stream.start, 'start', 0);
  stream.pos = stream.start;
  return options;
}

function construct(callback) {
  if (typeof this.fd === 'number') {
    callback();
    return;
  }
  fs.open(this.path, this.flags, this.mode, (error, fd) => {
    if (error) {
      callback(error);
      return;
    }
    this.fd = fd;
    callback();
    this.emit('open', fd);
    this.emit('ready');
  });
}

/** Closes the file once nothing uses it any more. */
function closeFile(stream, error, callback) {
  if (stream.busy) {
    stream.once(idle, (failed) => closeFile(stream, error || failed, callback));
    return;
  }
  const { fd, handle } = stream;
  stream.fd = null;
  const done = (failed) => callback(error || failed);
  if (fd === null) callback(error);
  else if (handle) handle.close().then(() => done(), done);
  else fs.close(fd, done);
}

const idle = Symbol('nothing is being read or written');

function endOperation(stream) {
  stream.busy = false;
  if (stream.destroyed) stream.emit(idle);
}

function close(callback) {
  if (callback) {
    if (this.closed) process.nextTick(callback);
    else this.once('close', callback);
  }
}

function ReadStream(path, options) {
  if (!(this instanceof ReadStream)) return new ReadStream(path, options);
  options = adopt(this, path, options, 'r');
  options.highWaterMark ??= 64 * 1024;
  this.end = options.end ?? Infinity;
  this.bytesRead = 0;
  if (this.end !== Infinity) {
    validateInteger(this.end, 'end', 0);
    this.start ??= undefined;
    if (this.start !== undefined && this.start > this.end) {
      throw outOfRange('start', `<= "end" (here: ${this.end})`, this.start);
    }
    this.pos ??= 0;
  }
  Readable.call(this, options);
}
Object.setPrototypeOf(ReadStream.prototype, Readable.prototype);
Object.setPrototypeOf(ReadStream, Readable);
ReadStream.prototype._construct = construct;

ReadStream.prototype._read = function(size) {
  const wanted = this.pos === undefined ? Math.min(this.end - this.bytesRead + 1, size) :
    Math.min(this.end - this.pos + 1, size);
  if (wanted <= 0) {
    this.push(null);
    return;
  }
  this.busy = true;
  const buffer = Buffer.allocUnsafeSlow(wanted);
  fs.read(this.fd, buffer, 0, wanted, this.pos ?? null, (error, count) => {
    endOperation(this);
    if (error) {
      this.destroy(error);
    } else if (count > 0) {
      if (this.pos !== undefined) this.pos += count;
      this.bytesRead += count;
      this.push(buffer.subarray(0, count));
    } else {
      this.push(null);
    }
  });
};

ReadStream.prototype._destroy = function(error, callback) {
  closeFile(this, error, callback);
};

ReadStream.prototype.close = function(callback) {
  close.call(this, callback);
  this.destroy();
};

function WriteStream(path, options) {
  if (!(this instanceof WriteStream)) return new WriteStream(path, options);
  options = adopt(this, path, options, 'w');
  options.decodeStrings = true;
  this.bytesWritten = 0;
  Writable.call(this, options);
  if (options.encoding) this.setDefaultEncoding(options.encoding);
}
Object.setPrototypeOf(WriteStream.prototype, Writable.prototype);
Object.setPrototypeOf(WriteStream, Writable);
WriteStream.prototype._construct = construct;

WriteStream.prototype._write = function(data, encoding, callback) {
  const bytes = toBytes(data, encoding);
  this.busy = true;
  fs.write(this.fd, bytes, 0, bytes.length, this.pos ?? null, (error, count) => {
    endOperation(this);
    if (this.destroyed && !error && count < bytes.length) {
      callback(error);
    } else if (error) {
      callback(error);
    } else {
      this.bytesWritten += count;
      if (this.pos !== undefined) this.pos += count;
      if (count < bytes.length) this._write(bytes.subarray(count), encoding, callback);
      else callback();
    }
  });
};

WriteStream.prototype._writev = function(chunks, callback) {
  this._write(Buffer.concat(chunks.map(({ chunk, encoding }) => toBytes(chunk, encoding))),
              'buffer', callback);
};

WriteStream.prototype._destroy = function(error, callback) {
  closeFile(this, error, callback);
};

WriteStream.prototype.close = function(callback) {
  close.call(this, callback);
  // What was written still goes.
  if (!this.writableEnded) this.end();
};

for (const Stream of [ReadStream, WriteStream]) {
  Object.defineProperty(Stream.prototype, 'pending', {
    configurable: true, get() { return this.fd === null; },
  });
}

module.exports = { ReadStream, WriteStream };
