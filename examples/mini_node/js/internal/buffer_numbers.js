'use strict';

// Numbers in a Buffer: readUInt16LE, writeDoubleBE and the like, all over one DataView a call.

const { codedError, invalidArgType, outOfRange } = require('internal/io_errors');

// Name in Buffer, name in DataView, bytes, least and most.
const kinds = [
  ['UInt8', 'Uint8', 1, 0, 255],
  ['UInt16', 'Uint16', 2, 0, 65535],
  ['UInt32', 'Uint32', 4, 0, 4294967295],
  ['Int8', 'Int8', 1, -128, 127],
  ['Int16', 'Int16', 2, -32768, 32767],
  ['Int32', 'Int32', 4, -2147483648, 2147483647],
  ['BigUInt64', 'BigUint64', 8, 0n, 2n ** 64n - 1n],
  ['BigInt64', 'BigInt64', 8, -(2n ** 63n), 2n ** 63n - 1n],
  ['Float', 'Float32', 4],
  ['Double', 'Float64', 8],
];

function view(bytes, offset, size) {
  if (typeof offset !== 'number') throw invalidArgType('offset', 'of type number', offset);
  const last = bytes.length - size;
  if (last < 0) {
    throw codedError(
      'ERR_BUFFER_OUT_OF_BOUNDS', 'Attempt to access memory outside buffer bounds', RangeError);
  }
  if (!Number.isInteger(offset)) throw outOfRange('offset', 'an integer', offset);
  if (offset < 0 || offset > last) throw outOfRange('offset', `>= 0 and <= ${last}`, offset);
  return new DataView(bytes.buffer, bytes.byteOffset + offset, size);
}

function check(value, min, max) {
  if (typeof min === 'bigint' && typeof value !== 'bigint') {
    throw invalidArgType('value', 'of type bigint', value);
  }
  if (value < min || value > max) {
    throw outOfRange('value', `>= ${min} and <= ${max}`, value);
  }
}

function define(prototype, name, method) {
  Object.defineProperty(prototype, name, {
    value: method, writable: true, configurable: true, enumerable: false,
  });
}

module.exports = function addNumbers(prototype) {
  for (const [name, kind, size, min, max] of kinds) {
    for (const order of size === 1 ? [''] : ['LE', 'BE']) {
      const little = order === 'LE';
      function read(offset = 0) {
        return view(this, offset, size)[`get${kind}`](0, little);
      }
      function write(value, offset = 0) {
        if (min !== undefined) check(value, min, max);
        view(this, offset, size)[`set${kind}`](0, value, little);
        return offset + size;
      }
      define(prototype, `read${name}${order}`, read);
      define(prototype, `write${name}${order}`, write);
      if (name.includes('UInt')) {
        define(prototype, `read${name.replace('UInt', 'Uint')}${order}`, read);
        define(prototype, `write${name.replace('UInt', 'Uint')}${order}`, write);
      }
    }
  }
};
