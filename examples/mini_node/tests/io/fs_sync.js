'use strict';

// The sync form.

const fs = require('fs');
const os = require('os');
const path = require('path');

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'mini-node-'));
process.chdir(dir);

function attempt(name, act) {
  try {
    console.log(name, act());
  } catch (error) {
    const { code, errno, syscall } = error;
    console.log(name, error.name, { code, errno, syscall }, error.message.replace(dir, ''));
  }
}

attempt('writeFileSync', () => fs.writeFileSync('a', 'x'.repeat(100000)));
attempt('statSync', () => fs.statSync('a').size);
attempt('statSync of nothing', () => fs.statSync('none'));
attempt('statSync that does not throw', () => fs.statSync('none', { throwIfNoEntry: false }));
attempt('appendFileSync', () => fs.appendFileSync('b', 'text'));
attempt('readFileSync', () => fs.readFileSync('b', 'latin1'));
attempt('readFileSync', () => fs.readFileSync('b'));
attempt('readFileSync of nothing', () => fs.readFileSync('none'));
attempt('readFileSync of a directory', () => fs.readFileSync('.'));
attempt('existsSync', () => [fs.existsSync('a'), fs.existsSync('none'), fs.existsSync(undefined)]);
attempt('mkdirSync', () => path.relative(dir, fs.mkdirSync('d/e', { recursive: true })));
attempt('mkdirSync again', () => fs.mkdirSync('d/e', { recursive: true }));
attempt('mkdirSync of a file', () => fs.mkdirSync('a'));
attempt('readdirSync', () => fs.readdirSync('.'));
attempt('copyFileSync', () => fs.copyFileSync('b', 'd/b'));
attempt('copyFileSync to a file', () => fs.copyFileSync('a', 'd/b', fs.constants.COPYFILE_EXCL));
attempt('renameSync', () => fs.renameSync('d/b', 'd/c'));
attempt('chmodSync', () => {
  fs.chmodSync('b', 0o600);
  return (fs.statSync('b').mode & 0o777).toString(8);
});
attempt('a descriptor', () => {
  const fd = fs.openSync('b', 'r+');
  const buffer = Buffer.alloc(4);
  const counts = [
    fs.writeSync(fd, 'T', 0),
    fs.readSync(fd, buffer, 0, 4, 0),
    fs.fstatSync(fd).size,
  ];
  fs.closeSync(fd);
  return [...counts, String(buffer)];
});
attempt('a closed descriptor', () => fs.readSync(987654, Buffer.alloc(1)));
attempt('utimesSync', () => {
  fs.utimesSync('b', 1, 2);
  return [fs.statSync('b').atimeMs, fs.statSync('b').mtime.toISOString()];
});
attempt('rmdirSync of what is not empty', () => fs.rmdirSync('d'));
attempt('rmSync of a directory', () => fs.rmSync('d/none'));
attempt('rmSync', () => fs.rmSync('d', { recursive: true }));
attempt('unlinkSync', () => fs.unlinkSync('none'));
attempt('truncateSync', () => {
  fs.truncateSync('a', 5);
  return fs.readFileSync('a', 'utf8');
});
attempt('accessSync', () => fs.accessSync('none'));
attempt('bad flags', () => fs.openSync('a', 'zz'));
attempt('bad path', () => fs.openSync({}));
attempt('bad data', () => fs.writeFileSync('a', {}));
process.chdir('/');
fs.rmSync(dir, { recursive: true });
console.log(fs.existsSync(dir));
