'use strict';

// Bytes and text.

const { Buffer } = require('buffer');

const bytes = Buffer.from('häß€😀');
for (const encoding of [
  'utf8',
  'hex',
  'base64',
  'base64url',
  'latin1',
  'ascii',
  'utf16le',
  'binary',
]) {
  const text = bytes.toString(encoding);
  console.log(encoding, JSON.stringify(text), Buffer.from(text, encoding).equals(bytes));
}
console.log(Buffer.from('häß€😀', 'latin1'), Buffer.from('häß€😀', 'utf16le'));
console.log(
  Buffer.from('zz61'.slice(2), 'hex'),
  Buffer.from('6z61', 'hex'),
  Buffer.from('YQ', 'base64'),
);
console.log(Buffer.from([256, -1, 1.9, '7']), Buffer.from(new Uint16Array([1, 257])));
console.log(Buffer.from({ length: 2, 0: 5, 1: 6 }));
console.log(Buffer.from(JSON.parse(JSON.stringify(Buffer.from('json')))), Buffer.of(1, 2, 3));
console.log(
  Buffer.alloc(4),
  Buffer.alloc(5, 'ab'),
  Buffer.alloc(3, 1),
  Buffer.alloc(3, Buffer.from([7, 8])),
);
console.log(
  Buffer.concat([Buffer.from('a'), Buffer.from('bc')]),
  Buffer.concat([Buffer.from('abc')], 2),
);
console.log(
  Buffer.byteLength('€'),
  Buffer.byteLength('YWI=', 'base64'),
  Buffer.byteLength('ab', 'utf16le'),
);
console.log(Buffer.isBuffer(bytes), Buffer.isBuffer(new Uint8Array(1)), Buffer.isEncoding('UTF-8'));
console.log(bytes.slice(1, -2), bytes.subarray(-4), bytes.slice(3, 1), bytes.length);
console.log(
  Buffer.compare(Buffer.from('a'), Buffer.from('b')),
  Buffer.from('b').compare(Buffer.from('a')),
);
console.log(
  bytes.indexOf('ß'),
  bytes.indexOf(0x68),
  bytes.includes('x'),
  Buffer.from('aXbX').lastIndexOf('X'),
  Buffer.from('aXbX').indexOf('X', 2),
  bytes.indexOf(Buffer.from('€')),
);
const target = Buffer.alloc(8, '.');
console.log(
  target.write('häß', 1),
  target.toString(),
  Buffer.from('12345').copy(target, 6),
  target.toString(),
);
console.log(Buffer.alloc(2).write('€'), target.fill('x', 2, 4).toString(), target.fill(0));
const numbers = Buffer.alloc(24);
console.log(
  numbers.writeUInt16BE(0x1234, 0),
  numbers.writeInt32LE(-2, 2),
  numbers.writeDoubleBE(1.5, 6),
  numbers.writeBigUInt64LE(2n ** 63n, 14),
  numbers.writeInt8(-5, 22),
  numbers,
);
console.log(
  numbers.readUInt16LE(0),
  numbers.readInt32LE(2),
  numbers.readDoubleBE(6),
  numbers.readBigInt64LE(14),
  numbers.readInt8(22),
  numbers.readFloatLE(2),
);
console.log(
  [...Buffer.from('ab').entries()],
  Buffer.from('abc')
    .map((byte) => byte + 1)
    .toString(),
);
console.log(
  Buffer.from('x'.repeat(60)),
  Buffer.from([]),
  String(Buffer.from('text')),
  bytes.toJSON().data.length,
);
console.log(
  Buffer.from(new ArrayBuffer(4), 1, 2).length,
  bytes.toString('utf8', 1, 3),
  bytes.readUInt8(),
);
console.log(Buffer.from([0xff, 0xe2, 0x82, 0x41]).toString(), atob('aGk='), btoa('hi'));
console.log(
  new TextEncoder().encode('€'),
  new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 0x41])),
);
const decoder = new TextDecoder();
console.log(
  decoder.decode(new Uint8Array([0xe2, 0x82]), { stream: true }),
  decoder.decode(new Uint8Array([0xac])),
);
const { StringDecoder } = require('string_decoder');
const pieces = new StringDecoder('utf8');
console.log(
  [0xf0, 0x9f, 0x98, 0x80, 0xe2].map((byte) => pieces.write(Buffer.from([byte]))),
  pieces.end(),
);

for (const wrong of [
  () => Buffer.from(5),
  () => Buffer.from(null),
  () => Buffer.from('a', 'none'),
  () => Buffer.alloc(-1),
  () => Buffer.alloc('1'),
  () => Buffer.concat('a'),
  () => Buffer.concat([1]),
  () => bytes.readUInt8(99),
  () => bytes.writeUInt8(256),
  () => bytes.readInt16LE('0'),
  () => bytes.equals('a'),
  () => bytes.toString('none'),
  () => new TextDecoder('none'),
  () => new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array([0xff])),
  () => Buffer.alloc(1).readUInt16LE(),
  () => bytes.readUInt8(1.5),
]) {
  try {
    console.log('no error', wrong());
  } catch (error) {
    console.log(error.name, error.code, error.message);
  }
}
