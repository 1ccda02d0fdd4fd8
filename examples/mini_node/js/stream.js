'use strict';

const Stream = require('internal/streams/legacy');
const Readable = require('internal/streams/readable');
const Writable = require('internal/streams/writable');
const { Duplex, PassThrough, Transform } = require('internal/streams/duplex');
const { finished, pipeline } = require('internal/streams/finished');

module.exports = Object.assign(Stream, {
  Stream, Readable, Writable, Duplex, Transform, PassThrough, finished, pipeline,
});
Object.defineProperty(Stream, 'promises', {
  configurable: true,
  get: () => require('stream/promises'),
});
