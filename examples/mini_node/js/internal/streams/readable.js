'use strict';

// A source of bytes or objects. What `push` is given waits in a list until somebody takes it: by
// `read()` after 'readable', by 'data' in flowing mode, by `pipe`, or by `for await`.
//
// `flowing` is null as long as nobody has asked for anything, true when 'data' is to be emitted as
// it comes, false when it was paused.

const EventEmitter = require('events');
const Stream = require('internal/streams/legacy');
const { construct, destroy, errorOrDestroy } = require('internal/streams/destroy');
const { codedError, invalidArgType } = require('internal/io_errors');
const { StringDecoder } = require('string_decoder');
const { Buffer } = require('buffer');

class ReadableState {
  constructor(options, isDuplex) {
    this.objectMode = !!(options?.objectMode || (isDuplex && options?.readableObjectMode));
    const mark = options?.highWaterMark ?? (isDuplex ? options?.readableHighWaterMark : undefined);
    this.highWaterMark = mark ?? (this.objectMode ? 16 : 16 * 1024);
    this.buffer = [];
    this.length = 0;
    this.flowing = null;
    this.paused = false;
    // push(null) was called; 'end' was emitted.
    this.ended = false;
    this.endEmitted = false;
    // _read was called and nothing pushed since; it is being called right now.
    this.reading = false;
    this.sync = true;
    this.needReadable = false;
    this.emittedReadable = false;
    this.readableListening = false;
    this.resumeScheduled = false;
    this.readingMore = false;
    this.constructed = true;
    this.destroyed = false;
    this.closed = false;
    this.closeEmitted = false;
    this.errored = null;
    this.errorEmitted = false;
    this.dataEmitted = false;
    this.emitClose = options?.emitClose !== false;
    this.autoDestroy = options?.autoDestroy !== false;
    this.defaultEncoding = options?.defaultEncoding || 'utf8';
    this.pipes = [];
    this.awaitDrain = new Set();
    this.decoder = null;
    this.encoding = null;
    if (options?.encoding) {
      this.decoder = new StringDecoder(options.encoding);
      this.encoding = options.encoding;
    }
  }
}

function Readable(options) {
  if (!(this instanceof Readable)) return new Readable(options);
  const isDuplex = this instanceof Stream.Duplex;
  this._readableState = new ReadableState(options, isDuplex);
  if (typeof options?.read === 'function') this._read = options.read;
  if (typeof options?.destroy === 'function') this._destroy = options.destroy;
  if (typeof options?.construct === 'function' && !isDuplex) this._construct = options.construct;
  Stream.call(this, options);
  construct(this, () => {
    if (this._readableState.needReadable) readMoreLater(this, this._readableState);
  });
}

Object.setPrototypeOf(Readable.prototype, Stream.prototype);
Object.setPrototypeOf(Readable, Stream);
Readable.ReadableState = ReadableState;

Readable.prototype.destroy = destroy;
Readable.prototype._destroy = function(error, callback) {
  callback(error);
};

Readable.prototype[EventEmitter.captureRejectionSymbol ?? Symbol.for('nodejs.rejection')] =
  function(error) {
    this.destroy(error);
  };

Readable.prototype._read = function() {
  throw codedError('ERR_METHOD_NOT_IMPLEMENTED', 'The _read() method is not implemented');
};

Readable.prototype.push = function(chunk, encoding) {
  return add(this, chunk, encoding, false);
};

Readable.prototype.unshift = function(chunk, encoding) {
  return add(this, chunk, encoding, true);
};

/** Takes a chunk from the source. False when there is enough for now. */
function add(stream, chunk, encoding, atFront) {
  const state = stream._readableState;
  if (!state.objectMode && chunk !== null) {
    if (typeof chunk === 'string') {
      encoding ||= state.defaultEncoding;
      if (state.encoding !== encoding) {
        // With an encoding set, text stays text once it has gone through the same decoder.
        chunk = Buffer.from(chunk, encoding);
        if (atFront && state.encoding) chunk = chunk.toString(state.encoding);
      }
    } else if (chunk instanceof Uint8Array) {
      if (!Buffer.isBuffer(chunk)) {
        chunk = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      }
    } else if (chunk !== undefined) {
      errorOrDestroy(stream, invalidArgType(
        'chunk', 'of type string or an instance of Buffer or Uint8Array', chunk));
      return false;
    }
  }
  if (chunk === null) {
    state.reading = false;
    endOfSource(stream, state);
  } else if (state.objectMode || chunk?.length > 0) {
    if (atFront) {
      if (state.endEmitted) {
        errorOrDestroy(stream, codedError(
          'ERR_STREAM_UNSHIFT_AFTER_END_EVENT', 'stream.unshift() after end event'));
      } else if (!state.destroyed && !state.errored) {
        hand(stream, state, chunk, true);
      }
    } else if (state.ended) {
      errorOrDestroy(stream, codedError('ERR_STREAM_PUSH_AFTER_EOF', 'stream.push() after EOF'));
    } else if (state.destroyed || state.errored) {
      return false;
    } else {
      state.reading = false;
      if (state.decoder && !encoding) {
        chunk = state.decoder.write(chunk);
        if (!state.objectMode && chunk.length === 0) readMoreLater(stream, state);
        else hand(stream, state, chunk, false);
      } else {
        hand(stream, state, chunk, false);
      }
    }
  } else if (!atFront) {
    state.reading = false;
    readMoreLater(stream, state);
  }
  return !state.ended && (state.length < state.highWaterMark || state.length === 0);
}

/** Emits a chunk at once where somebody waits for it, and keeps it otherwise. */
function hand(stream, state, chunk, atFront) {
  if (state.flowing && state.length === 0 && !state.sync && stream.listenerCount('data') > 0) {
    state.awaitDrain.clear();
    state.dataEmitted = true;
    stream.emit('data', chunk);
  } else {
    state.length += state.objectMode ? 1 : chunk.length;
    if (atFront) state.buffer.unshift(chunk);
    else state.buffer.push(chunk);
    if (state.needReadable) emitReadable(stream);
  }
  readMoreLater(stream, state);
}

function endOfSource(stream, state) {
  if (state.ended) return;
  const rest = state.decoder?.end();
  if (rest?.length) {
    state.buffer.push(rest);
    state.length += state.objectMode ? 1 : rest.length;
  }
  state.ended = true;
  if (state.sync) {
    emitReadable(stream);
  } else {
    state.needReadable = false;
    state.emittedReadable = true;
    emitReadableNow(stream);
  }
}

Readable.prototype.setEncoding = function(encoding) {
  const state = this._readableState;
  state.decoder = new StringDecoder(encoding);
  state.encoding = state.decoder.encoding;
  const text = state.buffer.map((chunk) => state.decoder.write(chunk)).join('');
  state.buffer = text === '' ? [] : [text];
  state.length = text.length;
  return this;
};

/** How much of what was asked for there is to give. */
function available(n, state) {
  if (n <= 0 || (state.length === 0 && state.ended)) return 0;
  if (state.objectMode) return 1;
  if (Number.isNaN(n)) {
    return state.flowing && state.length ? state.buffer[0].length : state.length;
  }
  if (n <= state.length) return n;
  return state.ended ? state.length : 0;
}

/** Takes n bytes, characters or one object out of the list. */
function take(n, state) {
  if (state.length === 0) return null;
  if (state.objectMode) return state.buffer.shift();
  const first = state.buffer[0];
  if (n === first.length) return state.buffer.shift();
  if (n < first.length) {
    state.buffer[0] = first.slice(n);
    return first.slice(0, n);
  }
  const parts = [];
  for (let rest = n; rest > 0;) {
    const chunk = state.buffer.shift();
    if (chunk.length > rest) {
      parts.push(chunk.slice(0, rest));
      state.buffer.unshift(chunk.slice(rest));
      break;
    }
    parts.push(chunk);
    rest -= chunk.length;
  }
  return state.decoder ? parts.join('') : Buffer.concat(parts, n);
}

Readable.prototype.read = function(n) {
  n = n === undefined ? NaN : Number.isInteger(n) ? n : Number.parseInt(n, 10);
  const state = this._readableState;
  const asked = n;
  if (n > state.highWaterMark) state.highWaterMark = 2 ** Math.ceil(Math.log2(n));
  if (n !== 0) state.emittedReadable = false;

  // read(0) starts a read, unless there is enough already.
  const enough = state.highWaterMark !== 0 ? state.length >= state.highWaterMark : state.length > 0;
  if (n === 0 && state.needReadable && (enough || state.ended)) {
    if (state.length === 0 && state.ended) endLater(this);
    else emitReadable(this);
    return null;
  }
  n = available(n, state);
  if (n === 0 && state.ended) {
    if (state.length === 0) endLater(this);
    return null;
  }

  // The source is asked before the list is emptied, so that it can fill it meanwhile.
  const low = state.needReadable || state.length - n < state.highWaterMark || state.length === 0;
  const open = !state.ended && !state.destroyed && !state.errored && state.constructed;
  if (low && open && !state.reading) {
    state.reading = true;
    state.sync = true;
    if (state.length === 0) state.needReadable = true;
    try {
      this._read(state.highWaterMark);
    } catch (thrown) {
      errorOrDestroy(this, thrown);
    }
    state.sync = false;
    if (!state.reading) n = available(asked, state);
  }

  const chunk = n > 0 ? take(n, state) : null;
  if (chunk === null) {
    state.needReadable = state.length <= state.highWaterMark;
    n = 0;
  } else {
    state.length -= n;
    state.awaitDrain.clear();
  }
  if (state.length === 0) {
    if (!state.ended) state.needReadable = true;
    if (asked !== n && state.ended) endLater(this);
  }
  if (chunk !== null && !state.errored && !state.closeEmitted) {
    state.dataEmitted = true;
    this.emit('data', chunk);
  }
  return chunk;
};

function emitReadable(stream) {
  const state = stream._readableState;
  state.needReadable = false;
  if (!state.emittedReadable) {
    state.emittedReadable = true;
    process.nextTick(emitReadableNow, stream);
  }
}

function emitReadableNow(stream) {
  const state = stream._readableState;
  if (!state.destroyed && !state.errored && (state.length || state.ended)) {
    stream.emit('readable');
    state.emittedReadable = false;
  }
  state.needReadable = !state.flowing && !state.ended && state.length <= state.highWaterMark;
  flow(stream);
}

/** Asks the source for more in a tick, until the list is full. */
function readMoreLater(stream, state) {
  if (state.readingMore || !state.constructed) return;
  state.readingMore = true;
  process.nextTick(() => {
    while (!state.reading && !state.ended &&
           (state.length < state.highWaterMark || (state.flowing && state.length === 0))) {
      const before = state.length;
      stream.read(0);
      if (before === state.length) break;
    }
    state.readingMore = false;
  });
}

function flow(stream) {
  const state = stream._readableState;
  while (state.flowing && stream.read() !== null);
}

function endLater(stream) {
  const state = stream._readableState;
  if (state.endEmitted) return;
  state.ended = true;
  process.nextTick(emitEnd, stream);
}

function emitEnd(stream) {
  const state = stream._readableState;
  if (state.errored || state.closeEmitted || state.endEmitted || state.length > 0) return;
  state.endEmitted = true;
  stream.emit('end');
  const w = stream._writableState;
  if (stream.writable && stream.allowHalfOpen === false) {
    process.nextTick(() => {
      if (stream.writable && !stream.writableEnded && !stream.destroyed) stream.end();
    });
  } else if (state.autoDestroy &&
             (!w || (w.autoDestroy && (w.finished || w.writable === false)))) {
    stream.destroy();
  }
}

Readable.prototype.on = function(event, listener) {
  const result = Stream.prototype.on.call(this, event, listener);
  const state = this._readableState;
  if (event === 'data') {
    state.readableListening = this.listenerCount('readable') > 0;
    if (state.flowing !== false) this.resume();
  } else if (event === 'readable' && !state.endEmitted && !state.readableListening) {
    state.readableListening = state.needReadable = true;
    state.flowing = false;
    state.emittedReadable = false;
    if (state.length) emitReadable(this);
    else if (!state.reading) process.nextTick(() => this.read(0));
  }
  return result;
};
Readable.prototype.addListener = Readable.prototype.on;

Readable.prototype.removeListener = function(event, listener) {
  const result = Stream.prototype.removeListener.call(this, event, listener);
  if (event === 'readable') process.nextTick(updateListening, this);
  return result;
};
Readable.prototype.off = Readable.prototype.removeListener;

Readable.prototype.removeAllListeners = function(event) {
  const result = Stream.prototype.removeAllListeners.apply(this, arguments);
  if (event === 'readable' || event === undefined) process.nextTick(updateListening, this);
  return result;
};

function updateListening(stream) {
  const state = stream._readableState;
  state.readableListening = stream.listenerCount('readable') > 0;
  if (state.resumeScheduled && !state.paused) state.flowing = true;
  else if (stream.listenerCount('data') > 0) stream.resume();
  else if (!state.readableListening) state.flowing = null;
}

Readable.prototype.resume = function() {
  const state = this._readableState;
  if (!state.flowing) {
    state.flowing = !state.readableListening;
    if (!state.resumeScheduled) {
      state.resumeScheduled = true;
      process.nextTick(() => {
        if (!state.reading) this.read(0);
        state.resumeScheduled = false;
        this.emit('resume');
        flow(this);
        if (state.flowing && !state.reading) this.read(0);
      });
    }
  }
  state.paused = false;
  return this;
};

Readable.prototype.pause = function() {
  const state = this._readableState;
  if (state.flowing !== false) {
    state.flowing = false;
    this.emit('pause');
  }
  state.paused = true;
  return this;
};

Readable.prototype.isPaused = function() {
  const state = this._readableState;
  return state.paused || state.flowing === false;
};

require('internal/streams/pipe')(Readable);
require('internal/streams/iterate')(Readable);

function property(name, get, set) {
  Object.defineProperty(Readable.prototype, name, { configurable: true, get, set });
}
property('readable', function() {
  const state = this._readableState;
  return !!state && state.readable !== false && !state.destroyed && !state.errorEmitted &&
    !state.endEmitted;
}, function(value) {
  if (this._readableState) this._readableState.readable = !!value;
});
property('readableAborted', function() {
  const state = this._readableState;
  return !!((state.destroyed || state.errored) && !state.endEmitted);
});
property('readableDidRead', function() { return this._readableState.dataEmitted; });
property('readableEncoding', function() { return this._readableState?.encoding ?? null; });
property('readableEnded', function() { return !!this._readableState?.endEmitted; });
property('readableFlowing', function() { return this._readableState.flowing; }, function(value) {
  if (this._readableState) this._readableState.flowing = value;
});
property('readableHighWaterMark', function() { return this._readableState.highWaterMark; });
property('readableLength', function() { return this._readableState.length; });
property('readableObjectMode', function() { return !!this._readableState?.objectMode; });
property('closed', function() { return !!this._readableState?.closed; });
property('errored', function() { return this._readableState?.errored ?? null; });
property('destroyed', function() { return !!this._readableState?.destroyed; }, function(value) {
  if (this._readableState) this._readableState.destroyed = value;
});

module.exports = Readable;
