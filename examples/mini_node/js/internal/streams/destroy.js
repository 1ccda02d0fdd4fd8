'use strict';

// How a stream ends: by itself, by destroy(), or by an error; and how it begins, when it has
// something to open first. Every event that tells of an end comes in a tick of its own, so that
// whoever caused the end can still listen.

const construction = Symbol('constructed');
const lateDestroy = Symbol('destroy once constructed');

/** Keeps the first error on both sides. */
function noteError(stream, error) {
  for (const state of [stream._writableState, stream._readableState]) {
    if (error && state && !state.errored) state.errored = error;
  }
}

/** `stream.destroy(error, callback)`. */
function destroy(error, callback) {
  const r = this._readableState;
  const w = this._writableState;
  if (r?.destroyed || w?.destroyed) {
    if (typeof callback === 'function') callback();
    return this;
  }
  noteError(this, error);
  if (w) w.destroyed = true;
  if (r) r.destroyed = true;
  if ((w || r).constructed) {
    release(this, error, callback);
  } else {
    this.once(lateDestroy, (later) => release(this, error || later, callback));
  }
  return this;
}

/** Lets the stream release what it has, then tells of the end. */
function release(stream, error, callback) {
  let told = false;
  const onDestroyed = (failure) => {
    if (told) return;
    told = true;
    noteError(stream, failure);
    for (const state of [stream._writableState, stream._readableState]) {
      if (state) state.closed = true;
    }
    if (typeof callback === 'function') callback(failure);
    process.nextTick(failure ? emitErrorAndClose : emitClose, stream, failure);
  };
  try {
    stream._destroy(error || null, onDestroyed);
  } catch (thrown) {
    onDestroyed(thrown);
  }
}

function emitErrorAndClose(stream, error) {
  emitError(stream, error);
  emitClose(stream);
}

function emitClose(stream) {
  const r = stream._readableState;
  const w = stream._writableState;
  if (w) w.closeEmitted = true;
  if (r) r.closeEmitted = true;
  if (w?.emitClose || r?.emitClose) stream.emit('close');
}

function emitError(stream, error) {
  const r = stream._readableState;
  const w = stream._writableState;
  if (r?.errorEmitted || w?.errorEmitted) return;
  if (w) w.errorEmitted = true;
  if (r) r.errorEmitted = true;
  stream.emit('error', error);
}

/** An error that the stream met by itself: ends it, or is only told where autoDestroy is off. */
function errorOrDestroy(stream, error, later) {
  const r = stream._readableState;
  const w = stream._writableState;
  if (r?.destroyed || w?.destroyed) return;
  if (r?.autoDestroy || w?.autoDestroy) {
    stream.destroy(error);
  } else if (error) {
    noteError(stream, error);
    if (later) process.nextTick(emitError, stream, error);
    else emitError(stream, error);
  }
}

/** Lets the stream open what it needs. Nothing is read or written before `then` is called. */
function construct(stream, then) {
  if (typeof stream._construct !== 'function') return;
  const r = stream._readableState;
  const w = stream._writableState;
  if (r) r.constructed = false;
  if (w) w.constructed = false;
  stream.once(construction, then);
  if (stream.listenerCount(construction) === 1) process.nextTick(open, stream);
}

function open(stream) {
  let told = false;
  const onOpened = (error) => {
    if (told) return;
    told = true;
    const r = stream._readableState;
    const w = stream._writableState;
    if (r) r.constructed = true;
    if (w) w.constructed = true;
    if ((w || r).destroyed) stream.emit(lateDestroy, error);
    else if (error) errorOrDestroy(stream, error, true);
    else process.nextTick(() => stream.emit(construction));
  };
  try {
    stream._construct((error) => process.nextTick(onOpened, error));
  } catch (thrown) {
    process.nextTick(onOpened, thrown);
  }
}

module.exports = { construct, destroy, errorOrDestroy };
