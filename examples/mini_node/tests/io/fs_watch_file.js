'use strict';
// A file that is looked at again and again.
const fs = require('fs');
const os = require('os');
const path = require('path');

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'watched-'));
const file = path.join(folder, 'file');
for (const listener of [undefined, 1, {}]) {
  try {
    fs.watchFile(file, listener);
  } catch (error) {
    console.log(error.code, error.message);
  }
}
fs.unwatchFile(file);

const steps = [
  () => fs.writeFileSync(file, 'text'),
  () => fs.writeFileSync(file, 'longer text'),
  () => fs.unlinkSync(file),
];
const watcher = fs.watchFile(file, { interval: 2 }, (current, previous) => {
  console.log(current.size, previous.size, current.isFile(), previous.isFile(), current.ino === 0);
  const next = steps.shift();
  if (next !== undefined) return next();
  fs.unwatchFile(file);
  fs.rmSync(folder, { recursive: true });
});
watcher.on('stop', () => console.log('stopped'));
console.log(watcher.unref() === watcher, watcher.ref() === watcher);
// It holds nothing, and its file never changes.
fs.watchFile(__filename, { persistent: false, interval: 2 }, () => console.log('never'));
