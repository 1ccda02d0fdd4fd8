'use strict';

// From a source into destinations, at the pace of the slowest.

const { errorOrDestroy } = require('internal/streams/destroy');

module.exports = function addPipe(Readable) {
  Readable.prototype.pipe = function(target, options) {
    const source = this;
    const state = this._readableState;
    state.pipes.push(target);
    const endsTarget = options?.end !== false &&
      target !== process.stdout && target !== process.stderr;
    const onEnd = endsTarget ? () => target.end() : unpipe;
    if (state.endEmitted) process.nextTick(onEnd);
    else source.once('end', onEnd);

    function onDrain() {
      state.awaitDrain.delete(target);
      if (state.awaitDrain.size === 0 && source.listenerCount('data') > 0) {
        state.flowing = true;
        while (state.flowing && source.read() !== null);
      }
    }
    function onData(chunk) {
      if (target.write(chunk) === false) {
        if (state.pipes.includes(target)) state.awaitDrain.add(target);
        source.pause();
        if (!listensForDrain) {
          listensForDrain = true;
          target.on('drain', onDrain);
        }
      }
    }
    let listensForDrain = false;
    function onError(error) {
      unpipe();
      target.removeListener('error', onError);
      if (target.listenerCount('error') === 0) errorOrDestroy(target, error);
    }
    function onClose() {
      target.removeListener('finish', onFinish);
      unpipe();
    }
    function onFinish() {
      target.removeListener('close', onClose);
      unpipe();
    }
    function unpipe() {
      source.unpipe(target);
    }
    function onUnpipe(from) {
      if (from !== source) return;
      target.removeListener('close', onClose);
      target.removeListener('finish', onFinish);
      target.removeListener('drain', onDrain);
      target.removeListener('error', onError);
      target.removeListener('unpipe', onUnpipe);
      source.removeListener('end', onEnd);
      source.removeListener('data', onData);
      if (state.awaitDrain.delete(target) && state.awaitDrain.size === 0 && state.pipes.length) {
        source.resume();
      }
    }
    source.on('data', onData);
    target.on('unpipe', onUnpipe);
    target.prependListener('error', onError);
    target.once('close', onClose);
    target.once('finish', onFinish);
    target.emit('pipe', source);
    if (target.writableNeedDrain === true) {
      state.awaitDrain.add(target);
      listensForDrain = true;
      target.on('drain', onDrain);
      source.pause();
    } else if (!state.flowing) {
      source.resume();
    }
    return target;
  };

  Readable.prototype.unpipe = function(target) {
    const state = this._readableState;
    const gone = target === undefined ? state.pipes : state.pipes.filter((one) => one === target);
    if (gone.length === 0) return this;
    state.pipes = target === undefined ? [] : state.pipes.filter((one) => one !== target);
    if (state.pipes.length === 0) this.pause();
    for (const one of gone) one.emit('unpipe', this, { hasUnpiped: false });
    return this;
  };
};
