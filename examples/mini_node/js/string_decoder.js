'use strict';

// Text out of bytes that come in pieces: what is not yet a whole character waits for the rest.

const { Buffer } = require('buffer');
const { codedError } = require('internal/io_errors');

class StringDecoder {
  constructor(encoding = 'utf8') {
    const name = Buffer.normalizeEncoding(encoding);
    if (name === undefined) {
      throw codedError('ERR_UNKNOWN_ENCODING', `Unknown encoding: ${encoding}`, TypeError);
    }
    this.encoding = name;
    this.rest = Buffer.alloc(0);
  }

  write(bytes) {
    if (typeof bytes === 'string') return bytes;
    const all = this.rest.length ? Buffer.concat([this.rest, bytes]) : Buffer.from(
      bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const whole = all.length - incomplete(all, this.encoding);
    this.rest = whole === all.length ? Buffer.alloc(0) : Buffer.from(all.subarray(whole));
    return all.toString(this.encoding, 0, whole);
  }

  end(bytes) {
    let text = bytes === undefined ? '' : this.write(bytes);
    if (this.rest.length) {
      text += this.rest.toString(this.encoding);
      this.rest = Buffer.alloc(0);
    }
    return text;
  }
}

/** How many bytes at the end are the beginning of a character. */
function incomplete(bytes, encoding) {
  switch (encoding) {
    case 'utf8':
      return incompleteUtf8(bytes);
    case 'utf16le': {
      const odd = bytes.length % 2;
      const last = bytes[bytes.length - odd - 1];
      // A high surrogate waits for the low one.
      return last >= 0xd8 && last <= 0xdb ? odd + 2 : odd;
    }
    case 'base64':
    case 'base64url':
      return bytes.length % 3;
    default:
      return 0;
  }
}

function incompleteUtf8(bytes) {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back];
    if (byte >= 0xf0 && byte <= 0xf4) return back < 4 ? back : 0;
    if (byte >= 0xe0) return back < 3 ? back : 0;
    if (byte >= 0xc2) return back < 2 ? back : 0;
    if (byte < 0x80) return 0;
  }
  return 0;
}

module.exports = { StringDecoder };
