'use strict';
// The ways of timers that Node keeps for old programs, and the fields that such programs touch.
const timers = require('timers');
process.on('warning', ({ name, code, message }) => console.log(name, code, message));

const isInList = ({ _idleNext, _idlePrev }) => Boolean(_idleNext) && Boolean(_idlePrev);
const item = { _idleTimeout: 1, _onTimeout() { console.log('item', this === item); } };
timers.active(item);
console.log(isInList(item), Number.isInteger(item._idleStart));
for (const idle of [-1, undefined]) {
  const none = { _idleTimeout: idle };
  timers.active(none);
  console.log(none);
}
const enrolled = { _onTimeout: () => console.log('never') };
timers.enroll(enrolled, 1);
timers.active(enrolled);
timers.unenroll(enrolled);
console.log(isInList(enrolled), enrolled._idleTimeout);
for (const bad of [-1, NaN, 'x']) {
  try {
    timers.enroll({}, bad);
  } catch (error) {
    console.log(error.code, error.message);
  }
}

const timeout = setTimeout(() => console.log('timeout', isInList(timeout)), 1);
console.log(isInList(timeout));
const cleared = setTimeout(() => {}, 1);
clearTimeout(cleared);
console.log(isInList(cleared));

// Each of these ends an interval from within.
const ways = {
  clear: (interval) => clearInterval(interval),
  close: (interval) => interval.close(),
  idle: (interval) => { interval._idleTimeout = -1; },
  callback: (interval) => { interval._onTimeout = null; },
  repeat: (interval) => { interval._repeat = null; },
};
for (const [name, end] of Object.entries(ways)) {
  let fired = 0;
  const interval = setInterval(() => {
    console.log('interval', name, ++fired);
    end(interval);
  }, 1);
}
