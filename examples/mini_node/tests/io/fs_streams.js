'use strict';

// Files as streams: their events, in order.

const fs = require('fs');
const os = require('os');
const path = require('path');
const { pipeline } = require('stream/promises');

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'mini-node-'));
process.chdir(dir);

function events(name, stream, all) {
  for (const event of all) {
    stream.on(event, (value) => {
      const shown = event === 'data' ? String(value).length : (value?.code ?? typeof value);
      console.log(name, event, shown);
    });
  }
  return new Promise((resolve) => stream.on('close', resolve));
}

(async () => {
  const writer = fs.createWriteStream('a');
  const written = events('writer', writer, ['open', 'ready', 'drain', 'finish', 'error', 'close']);
  console.log(writer.pending, writer.write('x'.repeat(20000)), writer.path);
  writer.end('end', () => console.log('end callback', writer.bytesWritten));
  await written;
  const reader = fs.createReadStream('a', { highWaterMark: 8192 });
  await events('reader', reader, ['open', 'ready', 'data', 'end', 'error', 'close']);
  console.log(reader.bytesRead, reader.destroyed);

  let text = '';
  for await (const chunk of fs.createReadStream('a', {
    start: 19998,
    end: 20001,
    encoding: 'utf8',
  })) {
    text += chunk;
  }
  console.log(text);
  await pipeline(fs.createReadStream('a'), fs.createWriteStream('b'));
  console.log(fs.readFileSync('a').equals(fs.readFileSync('b')));
  await pipeline(fs.createReadStream('b', { end: 3 }), fs.createWriteStream('b', { flags: 'a' }));
  console.log(fs.statSync('b').size);

  const missing = fs.createReadStream('none');
  await events('missing', missing, ['open', 'ready', 'data', 'end', 'error', 'close']);
  const nowhere = fs.createWriteStream('none/x');
  await events('nowhere', nowhere, ['open', 'ready', 'finish', 'error', 'close']);
  const early = fs.createReadStream('a');
  const closed = events('early', early, ['open', 'ready', 'data', 'end', 'error', 'close']);
  early.on('open', () => early.destroy(Object.assign(new Error('enough'), { code: 'ENOUGH' })));
  await closed;
  process.chdir('/');
  fs.rmSync(dir, { recursive: true });
})();
