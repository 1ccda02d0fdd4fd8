'use strict';

// The promise form and file handles.

const fs = require('fs/promises');
const { existsSync } = require('fs');
const os = require('os');
const path = require('path');

async function failure(name, promise) {
  try {
    await promise;
    console.log(name, 'works');
  } catch (error) {
    console.log(name, error.code, error.errno, error.syscall, error.message);
  }
}

(async () => {
  const dir = await fs.mkdtemp(path.join(os.tmpdir(), 'mini-node-'));
  process.chdir(dir);
  console.log(await fs.writeFile('a', 'one'), await fs.appendFile('a', ' two'));
  console.log(await fs.readFile('a', 'utf8'), await fs.readFile('a', { encoding: 'base64' }));
  console.log((await fs.stat('a')).size, await fs.readdir('.'), await fs.access('a'));
  // Each behind the one before: two threads of the pool may end in either order.
  await failure('readFile', fs.readFile('none'));
  await failure('stat', fs.stat('none'));
  await failure('lstat', fs.lstat('none'));
  await failure('open', fs.open('none'));
  await failure('unlink', fs.unlink('none'));
  await failure('rename', fs.rename('none', 'other'));
  await failure('copyFile', fs.copyFile('none', 'other'));
  await failure('readdir', fs.readdir('none'));
  await failure('rm', fs.rm('none'));
  await failure('rm with force', fs.rm('none', { force: true }));
  await failure('mkdir', fs.mkdir('a'));
  await failure('readFile of a directory', fs.readFile('.'));
  await failure('no path', fs.readFile(undefined));

  const handle = await fs.open('a', 'w+');
  console.log(await handle.write('hello'), await handle.write(Buffer.from('XY'), 0, 2, 1));
  console.log(await handle.read(Buffer.alloc(4), 0, 4, 0), (await handle.stat()).size);
  console.log(await handle.readFile('utf8'), await handle.truncate(2), await handle.sync());
  console.log(typeof handle.fd, await handle.close(), handle.fd);
  await failure('read of a closed handle', handle.read());
  console.log(await fs.readFile('a', 'utf8'));
  await fs.mkdir('d/e', { recursive: true });
  await fs.copyFile('a', 'd/e/b');
  console.log(await fs.readdir('d/e'), await fs.realpath('d/../a') === await fs.realpath('a'));
  process.chdir('/');
  await fs.rm(dir, { recursive: true });
  console.log(existsSync(dir));
})();
