'use strict';
// The objects of timers and immediates: what their methods give, and what may be done to them.
const util = require('util');
const t = setTimeout((...args) => console.log('timeout', ...args), 1, 'a', 'b');
console.log(t.hasRef(), t.unref() === t, t.hasRef(), t.ref() === t, t.hasRef());
console.log(typeof t[Symbol.toPrimitive](), typeof +t, t.constructor.name);
console.log(t.refresh() === t, t._idleTimeout, t._repeat, t._destroyed);
const i = setInterval(function() { console.log('interval', this === i); if (++n === 3) clearInterval(i); }, 1);
let n = 0;
console.log(i._repeat, i.hasRef());
const cleared = setTimeout(() => console.log('never'), 1);
clearTimeout(+cleared);
const byText = setTimeout(() => console.log('never'), 1);
clearTimeout(`${+byText}`);
const closed = setTimeout(() => console.log('never'), 1);
console.log(closed.close() === closed, closed._destroyed, closed._idleTimeout, closed.hasRef());
closed.refresh();
const m = setImmediate((...args) => { console.log('immediate', ...args, m.hasRef(), m._destroyed); }, 1, 2);
console.log(m.hasRef(), m.unref() === m, m.hasRef(), m.ref() === m);
const gone = setImmediate(() => console.log('never'));
clearImmediate(gone);
console.log(gone.hasRef(), gone._destroyed, gone._onImmediate);
for (const bad of [undefined, null, 1, 'x', {}, [], Symbol('s'), true]) {
  for (const f of [setTimeout, setInterval, setImmediate, queueMicrotask, process.nextTick]) {
    try { f(bad); } catch (e) { console.log(f.name, e.name, e.code, e.message, e instanceof TypeError); }
  }
}
for (const nothing of [undefined, null]) {
  clearTimeout(nothing); clearInterval(nothing); clearImmediate(nothing);
}
setTimeout(() => {
  const again = setTimeout(() => {
    console.log('refreshed', ++fired);
    if (fired < 3) again.refresh();
  }, 1);
}, 200);
let fired = 0;
setTimeout(() => console.log('delay'), 400);
for (const delay of ['2', null, undefined, NaN, -1, 1.9, '', {}, true, Infinity, 2 ** 31, 2 ** 31 - 1]) {
  const one = setTimeout(() => {}, delay);
  console.log(String(delay), one._idleTimeout);
  clearTimeout(one);
}
process.on('warning', (w) => console.log(w.name, w.message));
console.log(util.promisify(setTimeout) === require('timers/promises').setTimeout);
console.log(Object.keys(require('timers')).join());
