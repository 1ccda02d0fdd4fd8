'use strict';

// Keys from passwords and random bytes, on the pool; digests at once, as in Node.

const native = internalBinding('crypto');
const { Buffer } = require('buffer');
const { codedError, describe, invalidArgType, outOfRange } = require('internal/io_errors');
const {
  validateFunction, validateInteger, validateNumber, validateString, validateUint32,
} = require('internal/validators');

const lengthMax = 2 ** 31 - 1;
const hashes = { sha1: 64, sha256: 64, sha384: 128, sha512: 128 };

/** The bytes of what may be given as a secret. */
function bytesOf(value, name) {
  if (typeof value === 'string') return Buffer.from(value);
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  throw invalidArgType(
    name, 'of type string or an instance of ArrayBuffer, Buffer, TypedArray, or DataView', value);
}

function failed(errno) {
  const [code, text] = describe(errno);
  return Object.assign(new Error(`${code}: ${text}`), { code, errno });
}

/** The native answer as a Node callback has it. */
function answer(callback) {
  return (errno, bytes) => errno ? callback(failed(errno)) : callback(null, Buffer.from(bytes));
}

function checkPbkdf2(password, salt, iterations, length, digest) {
  validateString(digest, 'digest');
  const args = [bytesOf(password, 'password'), bytesOf(salt, 'salt'), iterations, length, digest];
  validateInteger(iterations, 'iterations', 1, lengthMax);
  validateInteger(length, 'keylen', 0, lengthMax);
  return args;
}

function invalidDigest(digest) {
  return codedError('ERR_CRYPTO_INVALID_DIGEST', `Invalid digest: ${digest}`, TypeError);
}

function pbkdf2(password, salt, iterations, length, digest, callback) {
  if (typeof digest === 'function') {
    callback = digest;
    digest = undefined;
  }
  const args = checkPbkdf2(password, salt, iterations, length, digest);
  validateFunction(callback, 'callback');
  if (!native.pbkdf2(...args, answer(callback))) throw invalidDigest(digest);
}

function pbkdf2Sync(password, salt, iterations, length, digest) {
  const key = native.pbkdf2(...checkPbkdf2(password, salt, iterations, length, digest));
  if (!key) throw invalidDigest(digest);
  return Buffer.from(key);
}

function checkScrypt(password, salt, length, options) {
  const args = [bytesOf(password, 'password'), bytesOf(salt, 'salt'), length];
  validateInteger(length, 'keylen', 0, lengthMax);
  // Each has two names, of which one may be used.
  const number = (one, other, otherwise) => {
    const first = options?.[one];
    const second = options?.[other];
    if (first !== undefined) validateUint32(first, one);
    if (second === undefined) return first ?? otherwise;
    if (first !== undefined) throw codedError('ERR_CRYPTO_SCRYPT_INVALID_PARAMETER', 'Invalid scrypt parameter');
    validateUint32(second, other);
    return second;
  };
  const cost = number('N', 'cost', 16384);
  const blockSize = number('r', 'blockSize', 8);
  const parallelization = number('p', 'parallelization', 1);
  const memoryMax = options?.maxmem ?? 32 * 1024 * 1024;
  validateInteger(memoryMax, 'maxmem', 0);
  const isPower = cost > 1 && Number.isInteger(Math.log2(cost));
  if (!isPower || blockSize < 1 || parallelization < 1) {
    throw codedError('ERR_CRYPTO_INVALID_SCRYPT_PARAMS', 'Invalid scrypt params', RangeError);
  }
  if (128 * blockSize * (cost + parallelization + 2) > memoryMax) {
    throw codedError(
      'ERR_CRYPTO_INVALID_SCRYPT_PARAMS', 'Invalid scrypt params: ' +
      'error:030000AC:digital envelope routines::memory limit exceeded', RangeError);
  }
  return [...args, [Math.log2(cost), blockSize, parallelization]];
}

function scrypt(password, salt, length, options, callback) {
  if (typeof options === 'function') {
    callback = options;
    options = undefined;
  }
  const args = checkScrypt(password, salt, length, options);
  validateFunction(callback, 'callback');
  native.scrypt(...args, answer(callback));
}

function scryptSync(password, salt, length, options) {
  const [errno, key] = native.scrypt(...checkScrypt(password, salt, length, options));
  if (errno) throw failed(errno);
  return Buffer.from(key);
}

function randomBytes(size, callback) {
  if (typeof size !== 'number') throw invalidArgType('size', 'of type number', size);
  if (!(size >= 0 && size <= lengthMax)) {
    throw outOfRange('size', `>= 0 && <= ${lengthMax}`, size);
  }
  if (callback === undefined) return Buffer.from(native.randomBytes(size));
  validateFunction(callback, 'callback');
  native.randomBytes(size, answer(callback));
  return undefined;
}

/** The part of a buffer that is to be filled. */
function partOf(view, offset = 0, size = undefined) {
  const isBuffer = view instanceof ArrayBuffer || view instanceof SharedArrayBuffer;
  if (!isBuffer && !ArrayBuffer.isView(view)) {
    throw invalidArgType('buf', 'an instance of ArrayBuffer or ArrayBufferView', view);
  }
  // Both count elements.
  const unit = view.BYTES_PER_ELEMENT ?? 1;
  validateNumber(offset, 'offset', 0, view.byteLength / unit);
  offset *= unit;
  if (size !== undefined) validateNumber(size, 'size', 0, lengthMax);
  const length = size === undefined ? view.byteLength - offset : size * unit;
  if (offset + length > view.byteLength) throw outOfRange('size + offset', `<= ${view.byteLength}`, offset + length);
  return isBuffer ? new Uint8Array(view, offset, length) : new Uint8Array(view.buffer, view.byteOffset + offset, length);
}

function randomFillSync(view, offset, size) {
  const part = partOf(view, offset, size);
  part.set(new Uint8Array(native.randomBytes(part.length)));
  return view;
}

function randomFill(view, offset, size, callback) {
  if (typeof offset === 'function') [offset, size, callback] = [undefined, undefined, offset];
  else if (typeof size === 'function') [size, callback] = [undefined, size];
  validateFunction(callback, 'callback');
  const part = partOf(view, offset, size);
  native.randomBytes(part.length, (errno, bytes) => {
    if (errno) return callback(failed(errno));
    // Meanwhile the buffer may have been transferred, or made shorter.
    if (part.length > 0) part.set(new Uint8Array(bytes).subarray(0, part.length));
    return callback(null, view);
  });
}

function randomInt(min, max, callback) {
  if (max === undefined || typeof max === 'function') {
    callback = max;
    max = min;
    min = 0;
  }
  if (!Number.isSafeInteger(min)) throw invalidArgType('min', 'a safe integer', min);
  if (!Number.isSafeInteger(max)) throw invalidArgType('max', 'a safe integer', max);
  const range = max - min;
  if (!(range > 0)) throw outOfRange('max', `greater than the value of "min" (${min})`, max);
  if (range > 2 ** 48 - 1) throw outOfRange('max - min', '<= 281474976710655', range);
  // Numbers beyond the last whole range would make some results more likely than others.
  const limit = 2 ** 48 - 2 ** 48 % range;
  let number;
  do {
    number = Buffer.from(native.randomBytes(6)).reduce((sum, byte) => sum * 256 + byte, 0);
  } while (number >= limit);
  const result = number % range + min;
  if (callback === undefined) return result;
  process.nextTick(callback, undefined, result);
  return undefined;
}

function randomUUID() {
  const bytes = Buffer.from(native.randomBytes(16));
  bytes[6] = bytes[6] & 0x0f | 0x40;
  bytes[8] = bytes[8] & 0x3f | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)]
    .join('-');
}

/** Chunks that are hashed when the digest is asked for. */
class Hash {
  #algorithm;
  #chunks = [];
  #isDone = false;

  constructor(algorithm) {
    validateString(algorithm, 'algorithm');
    if (!(algorithm.toLowerCase() in hashes)) throw new Error('Digest method not supported');
    this.#algorithm = algorithm.toLowerCase();
  }

  update(chunk, encoding) {
    if (this.#isDone) throw codedError('ERR_CRYPTO_HASH_FINALIZED', 'Digest already called');
    if (typeof chunk === 'string') this.#chunks.push(Buffer.from(chunk, encoding));
    else if (ArrayBuffer.isView(chunk)) this.#chunks.push(Buffer.from(bytesOf(chunk, 'data')));
    else {
      throw invalidArgType(
        'data', 'of type string or an instance of Buffer, TypedArray, or DataView', chunk);
    }
    return this;
  }

  digest(encoding) {
    if (this.#isDone) throw codedError('ERR_CRYPTO_HASH_FINALIZED', 'Digest already called');
    this.#isDone = true;
    const digest = Buffer.from(native.hash(this.#algorithm, Buffer.concat(this.#chunks)));
    return encoding && encoding !== 'buffer' ? digest.toString(encoding) : digest;
  }

  copy() {
    if (this.#isDone) throw codedError('ERR_CRYPTO_HASH_FINALIZED', 'Digest already called');
    const copy = new Hash(this.#algorithm);
    copy.#chunks = this.#chunks.slice();
    return copy;
  }
}

/** A hash with a key (RFC 2104). */
class Hmac {
  #inner;
  #outer;

  constructor(algorithm, key) {
    validateString(algorithm, 'hmac');
    if (!(algorithm.toLowerCase() in hashes)) throw invalidDigest(algorithm);
    this.#inner = new Hash(algorithm);
    this.#outer = new Hash(algorithm);
    const size = hashes[algorithm.toLowerCase()];
    let bytes = Buffer.from(bytesOf(key, 'key'));
    if (bytes.length > size) bytes = new Hash(algorithm).update(bytes).digest();
    const block = Buffer.concat([bytes], size);
    this.#inner.update(block.map((byte) => byte ^ 0x36));
    this.#outer.update(block.map((byte) => byte ^ 0x5c));
  }

  update(chunk, encoding) {
    this.#inner.update(chunk, encoding);
    return this;
  }

  digest(encoding) {
    return this.#outer.update(this.#inner.digest()).digest(encoding);
  }
}

function timingSafeEqual(a, b) {
  for (const [value, name] of [[a, 'buf1'], [b, 'buf2']]) {
    if (!ArrayBuffer.isView(value) && !(value instanceof ArrayBuffer)) {
      throw codedError('ERR_INVALID_ARG_TYPE',
                       `The "${name}" argument must be an instance of ArrayBuffer, Buffer, TypedArray, or DataView.`, TypeError);
    }
  }
  const [one, other] = [bytesOf(a, 'buf1'), bytesOf(b, 'buf2')];
  if (one.byteLength !== other.byteLength) {
    throw codedError('ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH',
                     'Input buffers must have the same byte length', RangeError);
  }
  return native.timingSafeEqual(one, other);
}

module.exports = {
  Hash,
  Hmac,
  createHash: (algorithm) => new Hash(algorithm),
  createHmac: (algorithm, key) => new Hmac(algorithm, key),
  getHashes: () => Object.keys(hashes),
  pbkdf2,
  pbkdf2Sync,
  randomBytes,
  randomFill,
  randomFillSync,
  randomInt,
  randomUUID,
  scrypt,
  scryptSync,
  timingSafeEqual,
  webcrypto: { getRandomValues: (view) => randomFillSync(view), randomUUID },
};
