'use strict';

// Bytes: a Uint8Array with text. Text becomes bytes and bytes text in native code.

const native = internalBinding('buffer');
const { codedError, invalidArgType, invalidArgValue, outOfRange } = require('internal/io_errors');

const kMaxLength = 2 ** 32;
const inspect = Symbol.for('nodejs.util.inspect.custom');

class FastBuffer extends Uint8Array {}

/** The deprecated constructor; and what a Uint8Array method makes its results with. */
function Buffer(arg, encodingOrOffset, length) {
  if (typeof arg === 'number') {
    if (typeof encodingOrOffset === 'string') throw invalidArgType('string', 'of type string', arg);
    return Buffer.alloc(arg);
  }
  return Buffer.from(arg, encodingOrOffset, length);
}
Object.setPrototypeOf(Buffer, Uint8Array);
Buffer.prototype = FastBuffer.prototype;
FastBuffer.prototype.constructor = Buffer;

const encodings = new Map([
  ['utf8', 'utf8'], ['utf-8', 'utf8'], ['hex', 'hex'], ['base64', 'base64'],
  ['base64url', 'base64url'], ['latin1', 'latin1'], ['binary', 'latin1'], ['ascii', 'ascii'],
  ['ucs2', 'utf16le'], ['ucs-2', 'utf16le'], ['utf16le', 'utf16le'], ['utf-16le', 'utf16le'],
]);

/** The name we know an encoding by, or undefined. */
function normalizeEncoding(encoding) {
  if (encoding === undefined || encoding === null || encoding === '') return 'utf8';
  return encodings.get(encoding) ?? encodings.get(String(encoding).toLowerCase());
}
Buffer.normalizeEncoding = normalizeEncoding;
Object.defineProperty(Buffer, 'normalizeEncoding', { enumerable: false });

function mustKnow(encoding) {
  const name = normalizeEncoding(encoding);
  if (name === undefined) {
    throw codedError('ERR_UNKNOWN_ENCODING', `Unknown encoding: ${encoding}`, TypeError);
  }
  return name;
}

function checkSize(size) {
  if (typeof size !== 'number') throw invalidArgType('size', 'of type number', size);
  if (!(size >= 0 && size <= kMaxLength)) {
    throw outOfRange('size', `>= 0 && <= ${kMaxLength}`, size);
  }
}

Buffer.alloc = function(size, fill, encoding) {
  checkSize(size);
  const buffer = new FastBuffer(size);
  return fill === undefined || fill === 0 || size === 0 ? buffer : buffer.fill(fill, encoding);
};
Buffer.allocUnsafe = function(size) {
  checkSize(size);
  return new FastBuffer(size);
};
Buffer.allocUnsafeSlow = Buffer.allocUnsafe;

Buffer.from = function(value, encodingOrOffset, length) {
  if (typeof value === 'string') {
    return new FastBuffer(native.encode(value, mustKnow(encodingOrOffset)));
  }
  if (typeof value === 'object' && value !== null) {
    if (value instanceof ArrayBuffer ||
        (typeof SharedArrayBuffer === 'function' && value instanceof SharedArrayBuffer)) {
      const offset = encodingOrOffset === undefined ? 0 : +encodingOrOffset || 0;
      const room = value.byteLength - offset;
      if (room < 0) {
        throw codedError(
          'ERR_BUFFER_OUT_OF_BOUNDS', '"offset" is outside of buffer bounds', RangeError);
      }
      if (length > room) {
        throw codedError(
          'ERR_BUFFER_OUT_OF_BOUNDS', '"length" is outside of buffer bounds', RangeError);
      }
      return new FastBuffer(value, offset, length === undefined ? room : Math.max(+length || 0, 0));
    }
    const inner = value.valueOf?.();
    if (inner !== undefined && inner !== null && inner !== value &&
        (typeof inner === 'string' || typeof inner === 'object')) {
      return Buffer.from(inner, encodingOrOffset, length);
    }
    const copy = fromArrayLike(value);
    if (copy) return copy;
    if (typeof value[Symbol.toPrimitive] === 'function') {
      const text = value[Symbol.toPrimitive]('string');
      if (typeof text === 'string') return Buffer.from(text, encodingOrOffset);
    }
  }
  throw invalidArgType(
    'first argument', 'of type string or an instance of Buffer, ArrayBuffer, or Array or an ' +
    'Array-like Object', value);
};

function fromArrayLike(value) {
  if (value.length !== undefined || value.buffer instanceof ArrayBuffer) {
    if (typeof value.length !== 'number') return new FastBuffer(0);
    return value.length > 0 ? new FastBuffer(value) : new FastBuffer(0);
  }
  if (value.type === 'Buffer' && Array.isArray(value.data)) return new FastBuffer(value.data);
  return undefined;
}

Buffer.of = function(...items) {
  return new FastBuffer(items);
};
Buffer.copyBytesFrom = function(view, offset = 0, length) {
  const part = view.subarray(offset, length === undefined ? undefined : offset + length);
  return Buffer.from(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
};
Buffer.isBuffer = (value) => value instanceof Buffer;
Buffer.isEncoding = (encoding) => typeof encoding === 'string' && encoding.length !== 0 &&
  normalizeEncoding(encoding) !== undefined;
Buffer.poolSize = 8192;

Buffer.byteLength = function(value, encoding) {
  if (typeof value !== 'string') {
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return value.byteLength;
    throw invalidArgType(
      'string', 'of type string or an instance of Buffer or ArrayBuffer', value);
  }
  const name = normalizeEncoding(encoding) ?? 'utf8';
  switch (name) {
    case 'latin1':
    case 'ascii':
      return value.length;
    case 'utf16le':
      return value.length * 2;
    case 'hex':
      return value.length >>> 1;
    case 'base64':
    case 'base64url':
      return Math.floor(value.replace(/=+$/, '').length * 3 / 4);
    default:
      return native.encode(value, name).byteLength;
  }
};

Buffer.concat = function(list, length) {
  if (!Array.isArray(list)) throw invalidArgType('list', 'an instance of Array', list);
  if (length === undefined) {
    length = list.reduce((sum, one) => sum + (one?.length ?? 0), 0);
  }
  const all = Buffer.alloc(length);
  let at = 0;
  list.forEach((one, index) => {
    if (!(one instanceof Uint8Array)) {
      throw invalidArgType(`list[${index}]`, 'an instance of Buffer or Uint8Array', one);
    }
    if (at < length) all.set(at + one.length > length ? one.subarray(0, length - at) : one, at);
    at += one.length;
  });
  return all;
};

Buffer.compare = function(a, b) {
  if (!(a instanceof Uint8Array)) {
    throw invalidArgType('buf1', 'an instance of Buffer or Uint8Array', a);
  }
  if (!(b instanceof Uint8Array)) {
    throw invalidArgType('buf2', 'an instance of Buffer or Uint8Array', b);
  }
  return native.compare(a, b);
};

const methods = {
  toString(encoding, start, end) {
    const from = start === undefined || start <= 0 ? 0 : Math.trunc(start) || 0;
    const to = end === undefined || end > this.length ? this.length : Math.trunc(end) || 0;
    if (from >= this.length || to <= from) return '';
    return native.decode(this, mustKnow(encoding), from, to);
  },

  toLocaleString(encoding, start, end) {
    return this.toString(encoding, start, end);
  },

  toJSON() {
    return { type: 'Buffer', data: Array.from(this) };
  },

  equals(other) {
    if (!(other instanceof Uint8Array)) {
      throw invalidArgType('otherBuffer', 'an instance of Buffer or Uint8Array', other);
    }
    return native.compare(this, other) === 0;
  },

  compare(other, start = 0, end = other.length, ownStart = 0, ownEnd = this.length) {
    if (!(other instanceof Uint8Array)) {
      throw invalidArgType('target', 'an instance of Buffer or Uint8Array', other);
    }
    return native.compare(this.subarray(ownStart, ownEnd), other.subarray(start, end));
  },

  subarray(start, end) {
    const from = clamp(start, this.length, 0);
    const to = Math.max(clamp(end, this.length, this.length), from);
    return new FastBuffer(this.buffer, this.byteOffset + from, to - from);
  },

  slice(start, end) {
    return this.subarray(start, end);
  },

  copy(target, targetStart = 0, start = 0, end = this.length) {
    if (!(target instanceof Uint8Array)) {
      throw invalidArgType('target', 'an instance of Buffer or Uint8Array', target);
    }
    const count = Math.min(end - start, this.length - start, target.length - targetStart);
    if (count <= 0) return 0;
    target.set(Uint8Array.prototype.subarray.call(this, start, start + count), targetStart);
    return count;
  },

  write(text, offset, length, encoding) {
    if (typeof text !== 'string') throw invalidArgType('argument', 'of type string', text);
    if (typeof offset === 'string') {
      encoding = offset;
      offset = length = undefined;
    } else if (typeof length === 'string') {
      encoding = length;
      length = undefined;
    }
    offset = offset === undefined ? 0 : offset;
    if (!(offset >= 0 && offset <= this.length)) {
      throw outOfRange('offset', `>= 0 && <= ${this.length}`, offset);
    }
    const room = Math.min(length ?? Infinity, this.length - offset);
    let bytes = new Uint8Array(native.encode(text, mustKnow(encoding)));
    if (bytes.length > room) {
      let fit = room;
      // No half of a character is written.
      if (mustKnow(encoding) === 'utf8') {
        while (fit > 0 && (bytes[fit] & 0xc0) === 0x80) fit--;
      }
      bytes = bytes.subarray(0, fit);
    }
    this.set(bytes, offset);
    return bytes.length;
  },

  fill(value, offset, end, encoding) {
    if (typeof offset === 'string') {
      encoding = offset;
      offset = end = undefined;
    } else if (typeof end === 'string') {
      encoding = end;
      end = undefined;
    }
    const from = offset ?? 0;
    const to = end ?? this.length;
    for (const [name, value] of [['offset', from], ['end', to]]) {
      if (value < 0 || value > this.length) {
        throw outOfRange(name, `>= 0 && <= ${this.length}`, value);
      }
    }
    if (typeof value === 'string' || value instanceof Uint8Array) {
      const pattern = typeof value === 'string' ? Buffer.from(value, encoding) : value;
      if (pattern.length === 0) {
        if (typeof value === 'string' && value.length > 0) {
          throw invalidArgValue('value', value);
        }
        Uint8Array.prototype.fill.call(this, 0, from, to);
      } else {
        for (let at = from; at < to; at++) this[at] = pattern[(at - from) % pattern.length];
      }
    } else {
      Uint8Array.prototype.fill.call(this, value & 255, from, to);
    }
    return this;
  },

  indexOf(value, offset, encoding) {
    return search(this, value, offset, encoding, true);
  },
  lastIndexOf(value, offset, encoding) {
    return search(this, value, offset, encoding, false);
  },
  includes(value, offset, encoding) {
    return search(this, value, offset, encoding, true) !== -1;
  },

  [inspect](depth, options) {
    const shown = Array.from(Uint8Array.prototype.subarray.call(this, 0, 50));
    let text = shown.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const rest = this.length - 50;
    if (rest > 0) text += ` ... ${rest} more byte${rest > 1 ? 's' : ''}`;
    return `<Buffer ${text}>`;
  },
};
methods.inspect = methods[inspect];

function clamp(position, length, missing) {
  if (position === undefined) return missing;
  const at = Math.trunc(+position) || 0;
  return at < 0 ? Math.max(at + length, 0) : Math.min(at, length);
}

function search(bytes, value, offset, encoding, forward) {
  if (typeof offset === 'string') {
    encoding = offset;
    offset = undefined;
  }
  let at = Number.isNaN(+offset) ? (forward ? 0 : bytes.length - 1) : Math.trunc(+offset);
  if (at < 0) at += bytes.length;
  if (typeof value === 'number') {
    const method = Uint8Array.prototype[forward ? 'indexOf' : 'lastIndexOf'];
    return at < 0 && !forward ? -1 : method.call(bytes, value & 255, Math.max(at, 0));
  }
  let wanted = value;
  if (typeof value === 'string') {
    wanted = Buffer.from(value, encoding);
  } else if (!(value instanceof Uint8Array)) {
    throw invalidArgType(
      'value', 'one of type number or string or an instance of Buffer or Uint8Array', value);
  }
  if (at < 0 && !forward) return -1;
  return native.indexOf(bytes, wanted, Math.max(at, 0), forward);
}

for (const name of Reflect.ownKeys(methods)) {
  Object.defineProperty(Buffer.prototype, name, {
    value: methods[name], writable: true, configurable: true, enumerable: false,
  });
}
Object.defineProperty(Buffer.prototype, 'parent', {
  configurable: true, get() { return this.buffer; },
});
Object.defineProperty(Buffer.prototype, 'offset', {
  configurable: true, get() { return this.byteOffset; },
});

require('internal/buffer_numbers')(Buffer.prototype);

/** Base64 to bytes as text, and back. */
function atob(text) {
  const compact = String(text).replace(/[\t\n\f\r ]/g, '');
  const bare = compact.length % 4 === 0 ? compact.replace(/={1,2}$/, '') : compact;
  if (bare.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(bare)) {
    const error = new Error('The string to be decoded is not correctly encoded.');
    error.name = 'InvalidCharacterError';
    error.code = 5;
    throw error;
  }
  return Buffer.from(bare, 'base64').toString('latin1');
}

function btoa(text) {
  text = String(text);
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) > 255) {
      const error = new Error('Invalid character');
      error.name = 'InvalidCharacterError';
      error.code = 5;
      throw error;
    }
  }
  return Buffer.from(text, 'latin1').toString('base64');
}

module.exports = {
  Buffer, SlowBuffer: Buffer.allocUnsafeSlow, INSPECT_MAX_BYTES: 50, atob, btoa, kMaxLength,
  kStringMaxLength: 2 ** 30 - 1,
  constants: { MAX_LENGTH: kMaxLength, MAX_STRING_LENGTH: 2 ** 30 - 1 },
};
