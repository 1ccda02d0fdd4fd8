// `performance`: the time since the program began.
'use strict';

const { uptime } = internalBinding('process');

const timeOrigin = Date.now() - uptime() * 1000;

class Performance {
  get timeOrigin() { return timeOrigin; }
  now() { return uptime() * 1000; }
  mark(name) { return { name, entryType: 'mark', startTime: this.now(), duration: 0, detail: null }; }
  toJSON() { return { timeOrigin }; }
}
Object.defineProperty(Performance.prototype, Symbol.toStringTag, { value: 'Performance', configurable: true });

module.exports = { performance: new Performance(), Performance };
