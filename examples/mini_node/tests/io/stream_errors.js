'use strict';

// Streams that end by an error, and what is told of it.

const {
  Duplex,
  PassThrough,
  Readable,
  Transform,
  Writable,
  finished,
  pipeline,
} = require('stream');
const promises = require('stream/promises');

const log = (...all) => console.log(...all);

const failing = new Writable({
  write(chunk, encoding, callback) {
    callback(new Error('no room'));
  },
});
failing.on('error', (error) => log('failing', error.message));
failing.on('close', () => log('failing close', failing.destroyed, failing.errored.message));
failing.write('x', (error) => log('x', error.message));
failing.write('y', (error) => log('y', error.message));

const ended = new Writable({
  write(chunk, encoding, callback) {
    callback();
  },
});
ended.on('error', (error) => log('ended', error.code, error.message));
ended.end();
ended.write('late', (error) => log('late', error.code));

const gone = new Duplex({
  read() {},
  write(chunk, encoding, callback) {
    callback();
  },
  destroy(error, callback) {
    log('gone destroy', error.message);
    callback(error);
  },
});
gone.on('error', (error) => log('gone', error.message));
gone.on('end', () => log('never'));
gone.on('close', () => log('gone close', gone.readable, gone.writable));
finished(gone, (error) => log('gone finished', error.message));
gone.destroy(new Error('the end'));
gone.destroy(new Error('a second end'));

const source = new PassThrough({ objectMode: true });
source.write('a');
source.write('b');
const broken = new Transform({
  objectMode: true,
  transform(chunk, encoding, callback) {
    if (chunk === 'b') callback(new Error('not b'));
    else callback(null, chunk);
  },
});
pipeline(source, broken, new PassThrough({ objectMode: true }), (error) => {
  log('pipeline', error.message, source.destroyed, broken.destroyed);
});

const early = new PassThrough();
finished(early, (error) => log('early', error.code));
early.destroy();

const twice = async function* (all) {
  for await (const one of all) yield one + one;
};
const sink = new Writable({
  objectMode: true,
  write(chunk, encoding, callback) {
    log('sink', chunk);
    callback();
  },
});
promises.pipeline(Readable.from(['q']), twice, sink).then(() => log('promised pipeline'));
promises.finished(new PassThrough().destroy(new Error('reason'))).catch((error) => {
  log('promised finished', error.message);
});

for (const wrong of [
  () => new Writable().write(null),
  () => new Writable().write(5),
  () => new Writable().write('a', 'none'),
  () => new Readable().setEncoding('none'),
  () => Readable.from(5),
  () => pipeline(new PassThrough(), () => {}),
]) {
  try {
    wrong();
  } catch (error) {
    log(error.name, error.code, error.message);
  }
}

process.on('uncaughtException', (error) => log('uncaught', error.message));
setTimeout(() => new Readable({ read() {} }).destroy(new Error('unheard')), 10);
