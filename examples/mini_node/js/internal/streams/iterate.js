'use strict';

// A stream as an async iterable, and an iterable as a stream.

const { codedError, invalidArgType } = require('internal/io_errors');
const { Buffer } = require('buffer');

async function* iterate(stream, destroyOnReturn) {
  const { finished } = require('internal/streams/finished');
  let wake = () => {};
  // undefined while the stream goes on, null at its end, else its error.
  let end;
  const next = (resolve) => {
    wake();
    wake = resolve;
  };
  const onReadable = () => wake();
  stream.on('readable', onReadable);
  const forget = finished(stream, { writable: false }, (error) => {
    end = error ?? null;
    wake();
  });
  try {
    for (;;) {
      const chunk = stream.destroyed ? null : stream.read();
      if (chunk !== null) yield chunk;
      else if (end) throw end;
      else if (end === null) return;
      else await new Promise(next);
    }
  } catch (thrown) {
    end = thrown;
    throw thrown;
  } finally {
    if ((end || destroyOnReturn) && (end === undefined || stream._readableState.autoDestroy)) {
      stream.destroy(end || null);
    } else {
      stream.off('readable', onReadable);
      forget();
    }
  }
}

module.exports = function addIteration(Readable) {
  Readable.prototype[Symbol.asyncIterator] = function() {
    return iterate(this, true);
  };

  Readable.prototype.iterator = function(options) {
    return iterate(this, options?.destroyOnReturn !== false);
  };

  Readable.from = function(iterable, options) {
    if (typeof iterable === 'string' || Buffer.isBuffer(iterable)) {
      return new Readable({
        objectMode: true,
        ...options,
        read() {
          this.push(iterable);
          this.push(null);
        },
      });
    }
    const isAsync = !!iterable?.[Symbol.asyncIterator];
    const make = isAsync ? iterable[Symbol.asyncIterator] : iterable?.[Symbol.iterator];
    if (!make) throw invalidArgType('iterable', 'an instance of Iterable', iterable);
    const iterator = make.call(iterable);
    const stream = new Readable({ objectMode: true, highWaterMark: 1, ...options });
    let busy = false;
    stream._read = function() {
      if (busy) return;
      busy = true;
      pull();
    };
    stream._destroy = async function(error, callback) {
      try {
        await iterator.return?.();
        process.nextTick(callback, error);
      } catch (thrown) {
        process.nextTick(callback, thrown || error);
      }
    };
    async function pull() {
      for (;;) {
        try {
          const { value, done } = isAsync ? await iterator.next() : iterator.next();
          if (done) {
            stream.push(null);
            return;
          }
          // What is there already waits for no microtask.
          const chunk = typeof value?.then === 'function' ? await value : value;
          if (chunk === null) {
            throw codedError(
              'ERR_STREAM_NULL_VALUES', 'May not write null values to stream', TypeError);
          }
          if (!stream.push(chunk)) {
            busy = false;
            return;
          }
        } catch (thrown) {
          stream.destroy(thrown);
          return;
        }
      }
    }
    return stream;
  };
};
