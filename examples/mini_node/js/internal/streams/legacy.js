'use strict';

// What all streams are: an emitter. The classes are properties of it, as in Node.

const EventEmitter = require('events');

function Stream(options) {
  EventEmitter.call(this, options);
}
Object.setPrototypeOf(Stream.prototype, EventEmitter.prototype);
Object.setPrototypeOf(Stream, EventEmitter);

// Replaced by the real one when it is there; a Readable asks whether it is one.
Stream.Duplex = class {};

module.exports = Stream;
