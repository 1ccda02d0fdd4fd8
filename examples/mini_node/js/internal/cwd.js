// The working directory, which is the process's and the main thread's to change. A worker remembers
// it until a number that all threads share says that it is another.
'use strict';

// Made for the first worker.
let counter;

module.exports = {
  get counter() { return counter ??= new Int32Array(new SharedArrayBuffer(4)); },
  set counter(shared) { counter = shared; },

  // It is another now.
  changed() {
    if (counter !== undefined) Atomics.add(counter, 0, 1);
  },

  // What `process.cwd` is in a worker.
  cached(read) {
    let known;
    let seen;
    return function cwd() {
      const current = Atomics.load(counter, 0);
      if (known === undefined || current !== seen) {
        seen = current;
        known = read();
      }
      return known;
    };
  },
};
