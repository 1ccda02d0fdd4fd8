'use strict';
// Calls a function when it was counted down to zero.
const assert = require('assert');

class Countdown {
  constructor(limit, callback) {
    assert.strictEqual(typeof limit, 'number');
    assert.strictEqual(typeof callback, 'function');
    this.remaining = limit;
    this.callback = callback;
  }

  dec() {
    assert(this.remaining > 0, 'it was counted down already');
    this.remaining -= 1;
    if (this.remaining === 0) this.callback();
    return this.remaining;
  }
}

module.exports = Countdown;
