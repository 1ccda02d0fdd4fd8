// `JSON.parse` with V8's words for a text that is no JSON: the engine does not tell where it ends to be any.
'use strict';

// How the engine says that a text is no JSON.
const ENGINES = /^unexpected (token: |data at the end$)|^Unexpected token '.*' in JSON$|^Unexpected end of JSON|\(line \d+ column \d+\)$/s;

// How much of a text is shown on each side of what is wrong.
const AROUND = 10;

function install() {
  const { parse: engines } = JSON;
  const parse = {
    parse(text, reviver) {
      try {
        return engines(text, reviver);
      } catch (error) {
        if (error instanceof SyntaxError && ENGINES.test(error.message)) {
          error.message = whyNot(`${text}`) ?? error.message;
        }
        throw error;
      }
    },
  }.parse;
  Object.defineProperty(JSON, 'parse', { value: parse, writable: true, configurable: true, enumerable: false });
}

// Why a text is no JSON. Undefined if it is, or is too deep to tell.
function whyNot(text) {
  if (/^(undefined|NaN|Infinity|\[object Object\])$/.test(text)) return `"${text}" is not valid JSON`;
  const reader = new Reader(text);
  try {
    reader.all();
  } catch (error) {
    return error === reader ? reader.why : undefined;
  }
  return undefined;
}

// Reads a text to the first thing that is wrong, and throws itself then.
class Reader {
  #text;
  #at = 0;
  why;

  constructor(text) { this.#text = text; }

  get #next() { return this.#text[this.#at] ?? ''; }

  #fail(words) {
    this.why = `${words} at position ${this.#at}`;
    throw this;
  }

  #unexpected() {
    const text = this.#text;
    const at = this.#at;
    this.why = 'Unexpected end of JSON input';
    if (at < text.length) {
      const isLong = text.length > 2 * AROUND;
      const start = isLong && at >= AROUND ? at - AROUND : 0;
      const end = isLong && at < text.length - AROUND ? at + AROUND : text.length;
      this.why = `Unexpected token '${text[at]}', ${start > 0 ? '...' : ''}"${text.slice(start, end)}"` +
        `${end < text.length ? '...' : ''} is not valid JSON`;
    }
    throw this;
  }

  #skip() {
    while (/[ \t\r\n]/.test(this.#next)) this.#at++;
  }

  all() {
    this.#value();
    this.#skip();
    if (this.#next !== '') this.#fail('Unexpected non-whitespace character after JSON');
  }

  #value() {
    this.#skip();
    const first = this.#next;
    if (first === '{') return this.#object();
    if (first === '[') return this.#array();
    if (first === '"') return this.#string();
    if (/[-\d]/.test(first)) return this.#number();
    const word = { t: 'true', f: 'false', n: 'null' }[first];
    if (word === undefined) this.#unexpected();
    for (const letter of word) {
      if (this.#next !== letter) this.#unexpected();
      this.#at++;
    }
  }

  #array() {
    this.#at++;
    this.#skip();
    if (this.#next === ']') return this.#at++;
    for (;;) {
      this.#value();
      if (this.#isLast(']', "Expected ',' or ']' after array element in JSON")) return undefined;
    }
  }

  #object() {
    this.#at++;
    this.#skip();
    if (this.#next === '}') return this.#at++;
    for (let wanted = "property name or '}'"; ; wanted = 'double-quoted property name') {
      this.#skip();
      if (this.#next !== '"') this.#fail(`Expected ${wanted} in JSON`);
      this.#string();
      this.#skip();
      if (this.#next !== ':') this.#fail("Expected ':' after property name in JSON");
      this.#at++;
      this.#value();
      if (this.#isLast('}', "Expected ',' or '}' after property value in JSON")) return undefined;
    }
  }

  // Goes over what ends an element: the bracket or a comma. Says which.
  #isLast(bracket, otherwise) {
    this.#skip();
    const isLast = this.#next === bracket;
    if (!isLast && this.#next !== ',') this.#fail(otherwise);
    this.#at++;
    return isLast;
  }

  #string() {
    for (;;) {
      this.#at++;
      const next = this.#next;
      if (next === '') this.#fail('Unterminated string in JSON');
      if (next < ' ') this.#fail('Bad control character in string literal in JSON');
      if (next === '"') return this.#at++;
      if (next === '\\') this.#escape();
    }
  }

  #escape() {
    this.#at++;
    if (this.#next !== 'u') {
      if (this.#next === '' || !'"\\/bfnrt'.includes(this.#next)) this.#fail('Bad escaped character in JSON');
      return;
    }
    for (let digits = 0; digits < 4; digits++) {
      this.#at++;
      if (!/[\da-f]/i.test(this.#next)) this.#fail('Bad Unicode escape in JSON');
    }
  }

  #digits(otherwise) {
    if (!/\d/.test(this.#next)) this.#fail(otherwise);
    while (/\d/.test(this.#next)) this.#at++;
  }

  #number() {
    if (this.#next === '-') this.#at++;
    if (this.#next === '0') {
      this.#at++;
      if (/\d/.test(this.#next)) this.#fail('Unexpected number in JSON');
    } else {
      this.#digits('No number after minus sign in JSON');
    }
    if (this.#next === '.') {
      this.#at++;
      this.#digits('Unterminated fractional number in JSON');
    }
    if (/e/i.test(this.#next)) {
      this.#at++;
      if (/[-+]/.test(this.#next)) this.#at++;
      this.#digits('Exponent part is missing a number in JSON');
    }
  }
}

module.exports = { install };
