'use strict';

// Within a callback of I/O immediates come before timers, and ticks and microtasks before both.

const fs = require('fs');

fs.stat(__filename, () => {
  console.log('stat');
  setTimeout(() => console.log('timeout'), 2);
  setImmediate(() => {
    console.log('immediate');
    process.nextTick(() => console.log('tick of the immediate'));
  });
  setImmediate(() => console.log('second immediate'));
  process.nextTick(() => console.log('tick'));
  Promise.resolve().then(() => console.log('microtask'));
  queueMicrotask(() => process.nextTick(() => console.log('tick of a microtask')));
  setTimeout(severalJobs, 5);
});

// A file is read in four jobs, each with a turn of the loop, so immediates come between.
function severalJobs() {
  let immediates = 0;
  let next;
  (function spin() {
    immediates++;
    next = setImmediate(spin);
  })();
  fs.readFile(__filename, () => {
    console.log(immediates >= 4 ? 'immediates came between' : `only ${immediates}`);
    clearImmediate(next);
    promises();
  });
}

// A promise of a file is resolved in a callback of the pool: its reactions are microtasks there.
async function promises() {
  await fs.promises.stat(__filename);
  console.log('promise');
  process.nextTick(() => console.log('tick after await'));
  Promise.resolve().then(() => console.log('microtask after await'));
  setImmediate(() => console.log('immediate after await'));
}
