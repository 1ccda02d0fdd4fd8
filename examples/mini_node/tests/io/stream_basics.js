'use strict';

// Streams: which event comes when.

const { PassThrough, Readable, Transform, Writable, pipeline } = require('stream');

const log = (...all) => console.log(...all);

const source = new Readable({ read() {} });
source.on('data', (chunk) => log('source data', String(chunk)));
source.on('end', () => log('source end'));
source.on('close', () => log('source close'));
source.push('one');
source.push('two');
source.push(null);
process.nextTick(() => log('tick'));
Promise.resolve().then(() => log('microtask'));
setImmediate(() => log('immediate'));

const slow = new Writable({
  write(chunk, encoding, callback) {
    log('slow write', String(chunk), encoding);
    setImmediate(callback);
  },
  final(callback) {
    log('slow final');
    callback();
  },
});
slow.on('finish', () => log('slow finish'));
slow.on('close', () => log('slow close'));
log(slow.write('a', () => log('a written')), slow.write('b', 'latin1', () => log('b written')));
slow.end('c', () => log('slow ended'));
log(slow.writableEnded, slow.writableFinished, slow.writableLength);

const upper = new Transform({
  transform(chunk, encoding, callback) {
    callback(null, String(chunk).toUpperCase());
  },
  flush(callback) {
    callback(null, '!');
  },
});
upper.on('data', (chunk) => log('upper', String(chunk)));
upper.on('end', () => log('upper end'));
upper.write('x');
upper.end('y');

(async () => {
  for await (const chunk of Readable.from(['p', 'q'])) log('iterated', chunk);
  log('iteration done');
  const numbers = Readable.from([1, 2, 3]);
  for await (const number of numbers) {
    log('first', number);
    break;
  }
  log('destroyed', numbers.destroyed);
})();

const sink = new Writable({
  objectMode: true,
  write(chunk, encoding, callback) {
    log('sink', chunk);
    callback();
  },
});
pipeline(Readable.from(['1', '2']), new PassThrough({ objectMode: true }), sink, (error) => {
  log('pipeline', error);
});

// Pulled in pieces that are not the chunks.
const pulled = new Readable({
  highWaterMark: 4,
  read(size) {
    this.count = (this.count ?? 0) + 1;
    log('asked for', size);
    this.push(this.count > 3 ? null : 'abc');
  },
});
pulled.on('readable', () => {
  log('readable');
  for (let chunk; (chunk = pulled.read(2)) !== null;) log('pulled', String(chunk));
});
pulled.on('end', () => log('pulled end'));

// Text whose characters are cut in two.
const text = new PassThrough();
text.setEncoding('utf8');
text.on('data', (chunk) => log('text', JSON.stringify(chunk)));
text.write(Buffer.from([0xe2, 0x82]));
text.end(Buffer.from([0xac]));

const corked = new Writable({
  highWaterMark: 3,
  writev(chunks, callback) {
    log('writev', chunks.length);
    process.nextTick(callback);
  },
});
corked.cork();
log(corked.write('aa'), corked.write('bb'), corked.writableNeedDrain);
corked.on('drain', () => {
  log('drain', corked.writableLength);
  corked.end();
});
corked.on('finish', () => log('corked finish'));
process.nextTick(() => corked.uncork());
