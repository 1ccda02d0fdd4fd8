'use strict';

// Files that are looked at again and again: `watchFile`. When it is time for a look, and whether
// anything has changed, is the loop's to say.

const EventEmitter = require('events');
const native = internalBinding('fs');
const { resolve } = require('path');
const { Stats, toPath } = require('internal/fs/utils');
const { validateFunction } = require('internal/validators');

// Milliseconds between two looks, if nobody says.
const INTERVAL = 5007;

// What is told of a file that is not there.
const NOTHING = new Array(14).fill(0);

class StatWatcher extends EventEmitter {
  #handle;

  constructor(path, interval, isPersistent) {
    super();
    this.#handle = native.watchMetadata(path, interval, (current, previous) => {
      this.emit('change', new Stats(current ?? NOTHING), new Stats(previous ?? NOTHING));
    });
    if (!isPersistent) this.unref();
  }

  ref() {
    this.#handle.setRef(true);
    return this;
  }

  unref() {
    this.#handle.setRef(false);
    return this;
  }

  stop() {
    this.#handle.close();
    process.nextTick(() => this.emit('stop'));
  }
}

// From a path to its watcher.
const watchers = new Map();

function watchFile(path, options, listener) {
  path = resolve(toPath(path, 'filename'));
  if (options === null || typeof options !== 'object') [options, listener] = [{}, options];
  validateFunction(listener, 'listener');
  let watcher = watchers.get(path);
  if (watcher === undefined) {
    const { interval = INTERVAL, persistent = true } = options;
    watcher = new StatWatcher(path, interval, persistent);
    watchers.set(path, watcher);
  }
  watcher.on('change', listener);
  return watcher;
}

function unwatchFile(path, listener) {
  path = resolve(toPath(path, 'filename'));
  const watcher = watchers.get(path);
  if (watcher === undefined) return;
  if (typeof listener === 'function') watcher.removeListener('change', listener);
  else watcher.removeAllListeners('change');
  if (watcher.listenerCount('change') > 0) return;
  watchers.delete(path);
  watcher.stop();
}

module.exports = { unwatchFile, watchFile };
