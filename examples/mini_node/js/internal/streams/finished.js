'use strict';

// When a stream has come to its end (`finished`), and a chain of streams that end together
// (`pipeline`).

const { codedError } = require('internal/io_errors');

function premature() {
  return codedError('ERR_STREAM_PREMATURE_CLOSE', 'Premature close');
}

/** Calls back once, when nothing is to be read or written any more. Returns how to forget it. */
function finished(stream, options, callback) {
  if (typeof options === 'function') {
    callback = options;
    options = {};
  }
  const r = stream._readableState;
  const w = stream._writableState;
  const readable = options?.readable ?? !!r;
  const writable = options?.writable ?? !!w;
  let called = false;
  const done = (error) => {
    if (called) return;
    called = true;
    callback.call(stream, error);
  };
  let readDone = !readable || !r || r.endEmitted || r.readable === false;
  let writeDone = !writable || !w || w.finished || w.writable === false;
  const onEnd = () => {
    readDone = true;
    // What will be destroyed tells of its end by 'close'.
    if (writeDone && !closesItself) done();
  };
  const onFinish = () => {
    writeDone = true;
    if (readDone && !closesItself) done();
  };
  const closesItself = (w || r) && (w?.autoDestroy ?? true) && (r?.autoDestroy ?? true) &&
    (w || r).emitClose && (w || r).closed === false && readable === !!r && writable === !!w;
  const onError = (error) => done(error);
  const onClose = () => {
    const error = w?.errored ?? r?.errored;
    if (error && typeof error !== 'boolean') done(error);
    else if (!readDone || !writeDone) done(premature());
    else done();
  };
  stream.on('end', onEnd);
  stream.on('finish', onFinish);
  if (options?.error !== false) stream.on('error', onError);
  stream.on('close', onClose);
  if (r?.closeEmitted || w?.closeEmitted) process.nextTick(onClose);
  else if ((r?.errorEmitted || w?.errorEmitted)) process.nextTick(onClose);
  else if (readDone && writeDone && !closesItself) process.nextTick(done);
  return () => {
    called = true;
    stream.removeListener('end', onEnd);
    stream.removeListener('finish', onFinish);
    stream.removeListener('error', onError);
    stream.removeListener('close', onClose);
  };
}

/**
 * Pipes each stream into the next. An error of one destroys all; the callback hears of the first.
 * A function among them is given what comes before and returns what goes on: an async iterable, or,
 * if it is the last, a promise.
 */
function pipeline(...streams) {
  const callback = streams.pop();
  if (streams.length === 1 && Array.isArray(streams[0])) streams = streams[0];
  if (streams.length < 2) {
    throw codedError('ERR_MISSING_ARGS', 'The "streams" argument must be specified', TypeError);
  }
  const Readable = require('internal/streams/readable');
  const opened = [];
  let failure;
  let value;
  let left = 0;
  const end = (error) => {
    left--;
    if (error && (!failure || failure.code === 'ERR_STREAM_PREMATURE_CLOSE')) failure = error;
    if (failure) {
      for (const stream of opened.splice(0)) {
        if (!stream.destroyed) stream.destroy(failure);
      }
    }
    if (left === 0) process.nextTick(callback, failure, value);
  };

  let before;
  streams.forEach((stream) => {
    let result = stream;
    if (typeof stream === 'function') {
      result = stream(before);
      if (typeof result?.then === 'function') {
        left++;
        result.then((resolved) => {
          value = resolved;
          end();
        }, end);
        return;
      }
    }
    const isStream = typeof result?.pipe === 'function' || typeof result?.write === 'function';
    const next = isStream ? result : Readable.from(result);
    opened.push(next);
    if (before && typeof stream !== 'function') join(before, next);
    before = next;
  });
  return before;

  function join(source, target) {
    left += 2;
    finished(source, { readable: true, writable: false }, end);
    finished(target, { readable: false, writable: true }, end);
    source.pipe(target);
  }
}

module.exports = { finished, pipeline };
