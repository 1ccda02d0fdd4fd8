// The standard streams between a worker and its parent: each chunk is a message [fd, chunk] on a
// port of their own, and null is the end.
'use strict';

const EventEmitter = require('events');

// What programs get as a chunk.
function asChunk(chunk) {
  return typeof chunk === 'string' ? require('buffer').Buffer.from(chunk) : chunk;
}

// What arrives. Chunks wait until somebody reads.
class ReadableStdio extends EventEmitter {
  #waiting = [];
  #isFlowing = false;
  #hasEnded = false;
  #encoding = undefined;
  #sink = null;

  constructor(onReading = () => {}) {
    super();
    super.on('newListener', (name) => {
      if (name !== 'data' && name !== 'readable') return;
      onReading();
      if (name === 'data') process.nextTick(() => this.resume());
    });
  }

  get readable() { return !this.#hasEnded; }
  get readableEnded() { return this.#hasEnded; }

  setEncoding(encoding) {
    this.#encoding = encoding ?? 'utf8';
    return this;
  }

  // Also gives all to the stream that `stream` names at that time.
  passTo(stream) { this.#sink = stream; }

  push(chunk) {
    if (chunk === null) {
      this.#waiting.push(null);
    } else {
      this.#sink?.().write(chunk);
      if (this.#sink === null || this.#isFlowing) this.#waiting.push(chunk);
      this.emit('readable');
    }
    if (this.#isFlowing || this.#sink !== null) process.nextTick(() => this.#flow());
  }

  read() {
    const chunk = this.#waiting[0];
    if (chunk === undefined || chunk === null) {
      if (chunk === null) process.nextTick(() => this.#flow());
      return null;
    }
    this.#waiting.shift();
    return this.#encoded(chunk);
  }

  resume() {
    this.#isFlowing = true;
    this.#flow();
    return this;
  }

  pause() {
    this.#isFlowing = false;
    return this;
  }

  pipe(destination, options) {
    this.on('data', (chunk) => destination.write(chunk));
    if (options?.end !== false) this.on('end', () => destination.end?.());
    return destination;
  }

  #encoded(chunk) {
    const bytes = asChunk(chunk);
    return this.#encoding === undefined || typeof bytes === 'string' ? bytes : bytes.toString(this.#encoding);
  }

  #flow() {
    while (this.#waiting.length > 0) {
      if (this.#waiting[0] === null) {
        this.#waiting.shift();
        this.#hasEnded = true;
        this.emit('end');
        this.emit('close');
      } else if (this.#isFlowing) {
        this.emit('data', this.#encoded(this.#waiting.shift()));
      } else {
        return;
      }
    }
  }

  async* [Symbol.asyncIterator]() {
    const queue = [];
    let wake = () => {};
    this.on('data', (chunk) => { queue.push(chunk); wake(); });
    this.on('end', () => { queue.push(null); wake(); });
    for (;;) {
      while (queue.length === 0) await new Promise((resolve) => { wake = resolve; });
      const chunk = queue.shift();
      if (chunk === null) return;
      yield chunk;
    }
  }
}

// What sends.
class WritableStdio extends EventEmitter {
  #port;
  #fd;
  #hasEnded = false;

  constructor(port, fd) {
    super();
    this.#port = port;
    this.#fd = fd;
    this.writable = true;
  }

  write(chunk, encoding, callback) {
    if (typeof encoding === 'function') callback = encoding;
    this.#port.postMessage([this.#fd, typeof chunk === 'string' ? chunk : new Uint8Array(chunk)]);
    if (typeof callback === 'function') process.nextTick(callback, null);
    return true;
  }

  end(chunk, encoding, callback) {
    if (typeof chunk === 'function') callback = chunk;
    else if (chunk !== undefined && chunk !== null) this.write(chunk, encoding);
    if (!this.#hasEnded) {
      this.#hasEnded = true;
      this.writable = false;
      this.#port.postMessage([this.#fd, null]);
      process.nextTick(() => this.emit('finish'));
    }
    if (typeof callback === 'function') process.nextTick(callback);
    return this;
  }

  cork() {}
  uncork() {}
  destroy() { return this; }
}

module.exports = { ReadableStdio, WritableStdio };
