'use strict';

// TextEncoder and TextDecoder, over the Buffer's native part.

const native = internalBinding('buffer');
const { codedError, invalidArgType } = require('internal/io_errors');

class TextEncoder {
  get encoding() { return 'utf-8'; }

  encode(text = '') {
    return new Uint8Array(native.encode(String(text), 'utf8'));
  }

  encodeInto(text, target) {
    let read = 0;
    let written = 0;
    for (const character of String(text)) {
      const bytes = this.encode(character);
      if (written + bytes.length > target.length) break;
      target.set(bytes, written);
      written += bytes.length;
      read += character.length;
    }
    return { read, written };
  }
}

const labels = {
  'utf-8': 'utf-8', 'utf8': 'utf-8', 'unicode-1-1-utf-8': 'utf-8',
  'utf-16le': 'utf-16le', 'utf-16': 'utf-16le', 'ucs-2': 'utf-16le',
  'latin1': 'windows-1252', 'iso-8859-1': 'windows-1252', 'ascii': 'windows-1252',
  'us-ascii': 'windows-1252', 'windows-1252': 'windows-1252',
};
const names = { 'utf-8': 'utf8', 'utf-16le': 'utf16le', 'windows-1252': 'latin1' };

class TextDecoder {
  #encoding;
  #fatal;
  #ignoreBOM;
  #decoder;
  #isFirst = true;

  constructor(label = 'utf-8', options = {}) {
    this.#encoding = labels[String(label).trim().toLowerCase()];
    if (!this.#encoding) {
      throw codedError('ERR_ENCODING_NOT_SUPPORTED',
                       `The "${label}" encoding is not supported`, RangeError);
    }
    this.#fatal = !!options?.fatal;
    this.#ignoreBOM = !!options?.ignoreBOM;
  }

  get encoding() { return this.#encoding; }
  get fatal() { return this.#fatal; }
  get ignoreBOM() { return this.#ignoreBOM; }

  decode(input = new Uint8Array(), options = {}) {
    let bytes;
    if (ArrayBuffer.isView(input)) {
      bytes = new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
    } else if (input instanceof ArrayBuffer || Object.prototype.toString.call(input) ===
               '[object SharedArrayBuffer]') {
      bytes = new Uint8Array(input);
    } else {
      throw invalidArgType('list', 'an instance of ArrayBuffer or ArrayBufferView', input);
    }
    const { StringDecoder } = require('string_decoder');
    this.#decoder ??= new StringDecoder(names[this.#encoding]);
    if (this.#fatal && this.#encoding === 'utf-8' && !options?.stream &&
        !native.isUtf8(bytes)) {
      throw codedError('ERR_ENCODING_INVALID_ENCODED_DATA',
                       'The encoded data was not valid for encoding utf-8', TypeError);
    }
    let text = this.#decoder.write(bytes);
    if (!options?.stream) text += this.#decoder.end();
    if (this.#isFirst && text !== '') {
      if (!this.#ignoreBOM && text.startsWith('\ufeff')) text = text.slice(1);
      this.#isFirst = false;
    }
    if (!options?.stream) {
      this.#decoder = undefined;
      this.#isFirst = true;
    }
    return text;
  }
}

module.exports = { TextDecoder, TextEncoder };
