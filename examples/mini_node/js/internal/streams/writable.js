'use strict';

// A destination of bytes or objects. One write is under way at a time; the others wait in a list.
// A write that the destination finished at once has its callback in a tick, together with others.

const Stream = require('internal/streams/legacy');
const { construct, destroy, errorOrDestroy } = require('internal/streams/destroy');
const { codedError, invalidArgType } = require('internal/io_errors');
const { Buffer } = require('buffer');

const nothing = () => {};

class WritableState {
  constructor(options, isDuplex) {
    this.objectMode = !!(options?.objectMode || (isDuplex && options?.writableObjectMode));
    const mark = options?.highWaterMark ?? (isDuplex ? options?.writableHighWaterMark : undefined);
    this.highWaterMark = mark ?? (this.objectMode ? 16 : 16 * 1024);
    this.decodeStrings = options?.decodeStrings !== false;
    this.defaultEncoding = options?.defaultEncoding || 'utf8';
    // What waits: { chunk, encoding, callback }. `length` counts what is under way as well.
    this.buffered = [];
    this.length = 0;
    this.writing = false;
    this.writeLength = 0;
    this.writeCallback = null;
    this.sync = true;
    this.processing = false;
    this.corked = 0;
    // Callbacks that are owed.
    this.pending = 0;
    this.needDrain = false;
    this.afterWrite = null;
    this.finalCalled = false;
    this.prefinished = false;
    this.ending = false;
    this.ended = false;
    this.finished = false;
    this.onFinish = [];
    this.constructed = true;
    this.destroyed = false;
    this.closed = false;
    this.closeEmitted = false;
    this.errored = null;
    this.errorEmitted = false;
    this.emitClose = options?.emitClose !== false;
    this.autoDestroy = options?.autoDestroy !== false;
  }

  getBuffer() {
    return this.buffered.slice();
  }
}

function Writable(options) {
  const isDuplex = this instanceof Stream.Duplex;
  if (!isDuplex && !(this instanceof Writable)) return new Writable(options);
  this._writableState = new WritableState(options, isDuplex);
  if (typeof options?.write === 'function') this._write = options.write;
  if (typeof options?.writev === 'function') this._writev = options.writev;
  if (typeof options?.destroy === 'function') this._destroy = options.destroy;
  if (typeof options?.final === 'function') this._final = options.final;
  if (typeof options?.construct === 'function') this._construct = options.construct;
  if (!isDuplex) Stream.call(this, options);
  construct(this, () => {
    const state = this._writableState;
    if (!state.writing) writeBuffered(this, state);
    finishMaybe(this, state);
  });
}
Object.setPrototypeOf(Writable.prototype, Stream.prototype);
Object.setPrototypeOf(Writable, Stream);
Writable.WritableState = WritableState;

// A Duplex is a Writable too, though it inherits from Readable.
Object.defineProperty(Writable, Symbol.hasInstance, {
  value(object) {
    if (Function.prototype[Symbol.hasInstance].call(this, object)) return true;
    return this === Writable && object?._writableState instanceof WritableState;
  },
});

Writable.prototype.pipe = function() {
  errorOrDestroy(this, codedError('ERR_STREAM_CANNOT_PIPE', 'Cannot pipe, not readable'));
};

Writable.prototype.write = function(chunk, encoding, callback) {
  return write(this, chunk, encoding, callback) === true;
};

/** True when there is room for more, false when not, or the error of a write that is refused. */
function write(stream, chunk, encoding, callback) {
  const state = stream._writableState;
  if (typeof encoding === 'function') {
    callback = encoding;
    encoding = state.defaultEncoding;
  } else {
    encoding ||= state.defaultEncoding;
    if (encoding !== 'buffer' && !Buffer.isEncoding(encoding)) {
      throw codedError('ERR_UNKNOWN_ENCODING', `Unknown encoding: ${encoding}`, TypeError);
    }
  }
  if (typeof callback !== 'function') callback = nothing;
  if (chunk === null) {
    throw codedError('ERR_STREAM_NULL_VALUES', 'May not write null values to stream', TypeError);
  }
  if (!state.objectMode) {
    if (typeof chunk === 'string') {
      if (state.decodeStrings) {
        chunk = Buffer.from(chunk, encoding);
        encoding = 'buffer';
      }
    } else if (Buffer.isBuffer(chunk)) {
      encoding = 'buffer';
    } else if (ArrayBuffer.isView(chunk)) {
      chunk = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      encoding = 'buffer';
    } else {
      throw invalidArgType(
        'chunk', 'of type string or an instance of Buffer, TypedArray, or DataView', chunk);
    }
  }
  let refused;
  if (state.ending) {
    refused = codedError('ERR_STREAM_WRITE_AFTER_END', 'write after end');
  } else if (state.destroyed) {
    refused = codedError(
      'ERR_STREAM_DESTROYED', 'Cannot call write after a stream was destroyed');
  }
  if (refused) {
    process.nextTick(callback, refused);
    errorOrDestroy(stream, refused, true);
    return refused;
  }

  state.pending++;
  const length = state.objectMode ? 1 : chunk.length;
  state.length += length;
  const hasRoom = state.length < state.highWaterMark;
  if (!hasRoom) state.needDrain = true;
  if (state.writing || state.corked || state.errored || !state.constructed) {
    state.buffered.push({ chunk, encoding, callback });
  } else {
    start(stream, state, length, callback, () => {
      stream._write(chunk, encoding, (error) => onWritten(stream, error));
    });
  }
  return hasRoom && !state.errored && !state.destroyed;
}

/** Hands one write, or several at once, to the destination. */
function start(stream, state, length, callback, act) {
  state.writing = true;
  state.sync = true;
  state.writeLength = length;
  state.writeCallback = callback;
  if (state.destroyed) {
    onWritten(stream, codedError(
      'ERR_STREAM_DESTROYED', 'Cannot call write after a stream was destroyed'));
  } else {
    act();
  }
  state.sync = false;
}

function onWritten(stream, error) {
  const state = stream._writableState;
  const { sync, writeCallback: callback } = state;
  if (typeof callback !== 'function') {
    errorOrDestroy(stream, codedError('ERR_MULTIPLE_CALLBACK', 'Callback called multiple times'));
    return;
  }
  state.writing = false;
  state.writeCallback = null;
  state.length -= state.writeLength;
  state.writeLength = 0;
  if (error) {
    state.errored ||= error;
    if (stream._readableState) stream._readableState.errored ||= error;
    if (sync) process.nextTick(onWriteError, stream, state, error, callback);
    else onWriteError(stream, state, error, callback);
    return;
  }
  if (state.buffered.length > 0) writeBuffered(stream, state);
  const needsTick = (state.needDrain && state.length === 0) || state.destroyed;
  if (!sync) {
    afterWrite(stream, state, 1, callback);
  } else if (callback === nothing && (!needsTick || state.afterWrite !== null)) {
    // Nobody is to be told.
    state.pending--;
    if (state.ending) finishMaybe(stream, state, true);
  } else if (state.afterWrite !== null && state.afterWrite.callback === callback) {
    state.afterWrite.count++;
  } else {
    const batch = { count: 1, callback };
    state.afterWrite = batch;
    process.nextTick(() => {
      state.afterWrite = null;
      afterWrite(stream, state, batch.count, batch.callback);
    });
  }
}

function onWriteError(stream, state, error, callback) {
  state.pending--;
  callback(error);
  failBuffered(state);
  errorOrDestroy(stream, error);
}

function afterWrite(stream, state, count, callback) {
  if (!state.ending && !stream.destroyed && state.length === 0 && state.needDrain) {
    state.needDrain = false;
    stream.emit('drain');
  }
  while (count-- > 0) {
    state.pending--;
    callback(null);
  }
  if (state.destroyed) failBuffered(state);
  if (state.ending) finishMaybe(stream, state, true);
}

/** Tells the writes that wait that they never will be. */
function failBuffered(state) {
  if (state.writing) return;
  for (const { chunk, callback } of state.buffered.splice(0)) {
    state.length -= state.objectMode ? 1 : chunk.length;
    callback(state.errored ?? codedError(
      'ERR_STREAM_DESTROYED', 'Cannot call write after a stream was destroyed'));
  }
  for (const callback of state.onFinish.splice(0)) {
    callback(state.errored ?? codedError(
      'ERR_STREAM_DESTROYED', 'Cannot call end after a stream was destroyed'));
  }
}

/** Goes on with what waits: all of it at once where the destination can, else one by one. */
function writeBuffered(stream, state) {
  if (state.corked || state.processing || state.destroyed || !state.constructed) return;
  if (state.buffered.length === 0) return;
  state.processing = true;
  if (state.buffered.length > 1 && stream._writev) {
    const entries = state.buffered.splice(0);
    state.pending -= entries.length - 1;
    const callback = entries.every((entry) => entry.callback === nothing) ? nothing :
      (error) => entries.forEach((entry) => entry.callback(error));
    const chunks = entries.map(({ chunk, encoding }) => ({ chunk, encoding }));
    chunks.allBuffers = entries.every((entry) => entry.encoding === 'buffer');
    start(stream, state, state.length, callback, () => {
      stream._writev(chunks, (error) => onWritten(stream, error));
    });
  } else {
    do {
      const { chunk, encoding, callback } = state.buffered.shift();
      const length = state.objectMode ? 1 : chunk.length;
      start(stream, state, length, callback, () => {
        stream._write(chunk, encoding, (error) => onWritten(stream, error));
      });
    } while (state.buffered.length > 0 && !state.writing);
  }
  state.processing = false;
}

Writable.prototype._write = function(chunk, encoding, callback) {
  if (!this._writev) {
    throw codedError('ERR_METHOD_NOT_IMPLEMENTED', 'The _write() method is not implemented');
  }
  this._writev([{ chunk, encoding }], callback);
};
Writable.prototype._writev = null;

Writable.prototype.cork = function() {
  this._writableState.corked++;
};

Writable.prototype.uncork = function() {
  const state = this._writableState;
  if (!state.corked) return;
  state.corked--;
  if (!state.writing) writeBuffered(this, state);
};

Writable.prototype.setDefaultEncoding = function(encoding) {
  this._writableState.defaultEncoding = encoding;
  return this;
};

Writable.prototype.end = function(chunk, encoding, callback) {
  const state = this._writableState;
  if (typeof chunk === 'function') {
    callback = chunk;
    chunk = encoding = null;
  } else if (typeof encoding === 'function') {
    callback = encoding;
    encoding = null;
  }
  let error;
  if (chunk !== null && chunk !== undefined) {
    const answer = write(this, chunk, encoding);
    if (answer instanceof Error) error = answer;
  }
  if (state.corked) {
    state.corked = 1;
    this.uncork();
  }
  if (error) {
    // The write has told of it.
  } else if (!state.errored && !state.ending) {
    state.ending = true;
    finishMaybe(this, state, true);
    state.ended = true;
  } else if (state.finished) {
    error = codedError('ERR_STREAM_ALREADY_FINISHED',
                       'Cannot call end after a stream was finished');
  } else if (state.destroyed) {
    error = codedError('ERR_STREAM_DESTROYED', 'Cannot call end after a stream was destroyed');
  }
  if (typeof callback === 'function') {
    if (error) process.nextTick(callback, error);
    else if (state.errored) process.nextTick(callback, state.errored);
    else if (state.finished) process.nextTick(callback, null);
    else state.onFinish.push(callback);
  }
  return this;
};

function mustFinish(state) {
  return state.ending && !state.destroyed && state.constructed && state.length === 0 &&
    !state.errored && state.buffered.length === 0 && !state.finished && !state.writing &&
    !state.errorEmitted && !state.closeEmitted;
}

function finishMaybe(stream, state, sync) {
  if (!mustFinish(state)) return;
  prefinish(stream, state);
  if (state.pending !== 0) return;
  if (sync) {
    state.pending++;
    process.nextTick(() => {
      if (mustFinish(state)) finish(stream, state);
      else state.pending--;
    });
  } else if (mustFinish(state)) {
    state.pending++;
    finish(stream, state);
  }
}

/** Lets the destination end what it writes to, once. */
function prefinish(stream, state) {
  if (state.prefinished || state.finalCalled) return;
  if (typeof stream._final !== 'function' || state.destroyed) {
    state.prefinished = true;
    stream.emit('prefinish');
    return;
  }
  state.finalCalled = true;
  let called = false;
  const onFinal = (error) => {
    if (called) {
      errorOrDestroy(stream, error ??
        codedError('ERR_MULTIPLE_CALLBACK', 'Callback called multiple times'));
      return;
    }
    called = true;
    state.pending--;
    if (error) {
      for (const callback of state.onFinish.splice(0)) callback(error);
      errorOrDestroy(stream, error, state.sync);
    } else if (mustFinish(state)) {
      state.prefinished = true;
      stream.emit('prefinish');
      state.pending++;
      process.nextTick(finish, stream, state);
    }
  };
  state.sync = true;
  state.pending++;
  try {
    stream._final(onFinal);
  } catch (thrown) {
    onFinal(thrown);
  }
  state.sync = false;
}

function finish(stream, state) {
  state.pending--;
  state.finished = true;
  for (const callback of state.onFinish.splice(0)) callback(null);
  stream.emit('finish');
  const r = stream._readableState;
  if (state.autoDestroy && (!r || (r.autoDestroy && (r.endEmitted || r.readable === false)))) {
    stream.destroy();
  }
}

Writable.prototype.destroy = function(error, callback) {
  const state = this._writableState;
  if (!state.destroyed && (state.buffered.length > 0 || state.onFinish.length > 0)) {
    process.nextTick(failBuffered, state);
  }
  destroy.call(this, error, callback);
  return this;
};
Writable.prototype._destroy = function(error, callback) {
  callback(error);
};

function property(name, get, set) {
  Object.defineProperty(Writable.prototype, name, { configurable: true, get, set });
}
property('writable', function() {
  const state = this._writableState;
  return !!state && state.writable !== false && !state.destroyed && !state.errored &&
    !state.ending && !state.ended;
}, function(value) {
  if (this._writableState) this._writableState.writable = !!value;
});
property('writableAborted', function() {
  const state = this._writableState;
  return !!(state.writable !== false && (state.destroyed || state.errored) && !state.finished);
});
property('writableBuffer', function() { return this._writableState?.getBuffer(); });
property('writableCorked', function() { return this._writableState?.corked ?? 0; });
property('writableEnded', function() { return !!this._writableState?.ending; });
property('writableFinished', function() { return !!this._writableState?.finished; });
property('writableHighWaterMark', function() { return this._writableState?.highWaterMark; });
property('writableLength', function() { return this._writableState?.length; });
property('writableObjectMode', function() { return !!this._writableState?.objectMode; });
property('writableNeedDrain', function() {
  const state = this._writableState;
  return !!state && !state.destroyed && !state.ending && state.needDrain;
});
property('closed', function() { return !!this._writableState?.closed; });
property('errored', function() { return this._writableState?.errored ?? null; });
property('destroyed', function() { return !!this._writableState?.destroyed; }, function(value) {
  if (this._writableState) this._writableState.destroyed = value;
});

module.exports = Writable;
