'use strict';

// The callback form, one operation after the other.

const fs = require('fs');
const os = require('os');
const path = require('path');

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'mini-node-'));
process.chdir(dir);

function show(name, next) {
  return (error, ...results) => {
    if (error) {
      const { code, errno, syscall, path: about, dest, message } = error;
      console.log(name, { code, errno, syscall, about, dest, message });
    } else {
      console.log(name, ...results);
    }
    next(...results);
  };
}

const steps = [
  (next) => fs.writeFile('a', 'hello', show('writeFile', next)),
  (next) => fs.appendFile('a', Buffer.from(' world'), show('appendFile', next)),
  (next) => fs.readFile('a', 'utf8', show('readFile', next)),
  (next) => fs.readFile('a', show('readFile without encoding', next)),
  (next) => fs.readFile('none', show('readFile of nothing', next)),
  (next) => fs.readFile('.', show('readFile of a directory', next)),
  (next) => fs.stat('a', (error, stats) => {
    console.log('stat', error, stats.size, stats.isFile(), stats.isDirectory(),
                stats.mtime instanceof Date, stats instanceof fs.Stats);
    next();
  }),
  (next) => fs.stat('none', show('stat of nothing', next)),
  (next) => fs.access('a', fs.constants.R_OK, show('access', next)),
  (next) => fs.access('none', show('access to nothing', next)),
  (next) => fs.exists('a', (there) => {
    console.log('exists', there);
    next();
  }),
  (next) => fs.mkdir('d/e/f', { recursive: true }, (error, first) => {
    console.log('mkdir', error, path.relative(dir, first));
    next();
  }),
  (next) => fs.mkdir('d', show('mkdir of what is there', next)),
  (next) => fs.mkdir('none/x', show('mkdir in nothing', next)),
  (next) => fs.symlink('a', 'link', show('symlink', next)),
  (next) => fs.readlink('link', show('readlink', next)),
  (next) => fs.lstat('link', (error, stats) => {
    console.log('lstat', error, stats.isSymbolicLink());
    next();
  }),
  (next) => fs.readdir('.', show('readdir', next)),
  (next) => fs.readdir('.', { withFileTypes: true }, (error, entries) => {
    console.log('readdir', entries.map((one) => [one.name, one.isFile(), one.isDirectory()]));
    next();
  }),
  (next) => fs.readdir('a', show('readdir of a file', next)),
  (next) => fs.copyFile('a', 'b', show('copyFile', next)),
  (next) => fs.copyFile('a', 'b', fs.constants.COPYFILE_EXCL, show('copyFile to a file', next)),
  (next) => fs.rename('b', 'c', show('rename', next)),
  (next) => fs.rename('none', 'c', show('rename of nothing', next)),
  (next) => fs.truncate('c', 3, show('truncate', next)),
  (next) => fs.realpath('d/../c', (error, real) => {
    console.log('realpath', error, path.basename(real));
    next();
  }),
  (next) => fs.open('c', 'r+', (error, fd) => {
    console.log('open', error, typeof fd);
    fs.write(fd, 'XY', 1, (failed, count, text) => {
      console.log('write', failed, count, text);
      fs.read(fd, Buffer.alloc(8), 2, 4, 0, (wrong, read, buffer) => {
        console.log('read', wrong, read, buffer);
        fs.ftruncate(fd, 2, () => fs.fstat(fd, (bad, stats) => {
          console.log('fstat', bad, stats.size);
          fs.close(fd, show('close', () => fs.close(fd, show('close again', next))));
        }));
      });
    });
  }),
  (next) => fs.open('a', 'wx', show('open of what is there', next)),
  (next) => fs.mkdtemp('t-', (error, made) => {
    console.log('mkdtemp', error, made.length, fs.statSync(made).isDirectory());
    fs.rmdir(made, show('rmdir', next));
  }),
  (next) => fs.rmdir('d', show('rmdir of what is not empty', next)),
  (next) => fs.unlink('c', show('unlink', next)),
  (next) => fs.unlink('c', show('unlink of nothing', next)),
  (next) => fs.rm('c', { force: true }, show('rm with force', next)),
  (next) => fs.rm('d', { recursive: true }, show('rm', next)),
  (next) => fs.rm('c', (error) => {
    console.log('rm of nothing', error.code, error.syscall, error.message.replace(dir, ''));
    next();
  }),
];

(function next() {
  const step = steps.shift();
  if (step) {
    step(next);
  } else {
    process.chdir('/');
    fs.rmSync(dir, { recursive: true });
    console.log('gone', !fs.existsSync(dir));
  }
})();

for (const wrong of [
  () => fs.readFile('a'), () => fs.readFile(undefined, () => {}), () => fs.stat(5, () => {}),
  () => fs.open('a', 'zz', () => {}), () => fs.writeFile('a', 5, () => {}),
  () => fs.readFile('a', 'nonsense', () => {}), () => fs.mkdir('a\0b', () => {}),
  () => fs.close('x', () => {}), () => fs.read(0, Buffer.alloc(1), 2, 1, 0, () => {}),
]) {
  try {
    wrong();
  } catch (error) {
    console.log(error.name, error.code, error.message);
  }
}
