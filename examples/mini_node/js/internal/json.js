// `JSON.parse` with V8's words for a text that is no JSON: the engine does not tell where it ends to be any.
'use strict';

const { exec, includes, slice } = require('internal/safe');

// A program may replace them.
const { SyntaxError, JSON } = globalThis;
const { parse: engines } = JSON;

// How much of a text is shown on each side of what is wrong.
const AROUND = 10;

// What V8 names as it is: a text that some other value has become.
const OTHERS = ['undefined', 'NaN', 'Infinity', '[object Object]'];

// What a string may have besides escapes. Piece by piece: the engine keeps a place to go back to for each letter.
const PLAIN = /[^"\\\0-\x1f]{0,4096}/y;

// Elements of an array and members of an object that are right and simple, with the comma behind each. They are gone over
// many at a time.
const SPACE = '[ \\t\\r\\n]*';
const STRING = '"[^"\\\\\\0-\\x1f]{0,256}"';
const SIMPLE = `(?:true|false|null|-?(?:0|[1-9]\\d*)(?:\\.\\d+)?(?:[eE][-+]?\\d+)?|${STRING})`;
const ELEMENTS = new RegExp(`(?:${SPACE}${SIMPLE}${SPACE},){1,64}`, 'y');
const MEMBERS = new RegExp(`(?:${SPACE}${STRING}${SPACE}:${SPACE}${SIMPLE}${SPACE},){1,64}`, 'y');

const { parse } = {
  parse(text, reviver) {
    const string = `${text}`;
    try {
      return engines(string, reviver);
    } catch (error) {
      // A text that is JSON has gone to the reviver, and the error is its own.
      const why = error instanceof SyntaxError ? whyNot(string) : undefined;
      if (why !== undefined) error.message = why;
      throw error;
    }
  },
};

function install() {
  Object.defineProperty(JSON, 'parse', { value: parse, writable: true, configurable: true, enumerable: false });
}

// Why a text is no JSON. Undefined if it is, or is too deep to tell.
function whyNot(text) {
  if (includes(OTHERS, text)) return `"${text}" is not valid JSON`;
  const reader = new Reader(text);
  try {
    reader.all();
  } catch (error) {
    return error === reader ? reader.why : undefined;
  }
  return undefined;
}

const isDigit = (letter) => letter >= '0' && letter <= '9';

// Reads a text to the first thing that is wrong, and throws itself then.
class Reader {
  #text;
  #at = 0;
  // The letter there, or nothing at the end.
  #next;
  why;

  constructor(text) {
    this.#text = text;
    this.#goTo(0);
  }

  #goTo(at) {
    this.#at = at;
    this.#next = at < this.#text.length ? this.#text[at] : '';
  }

  #step() { this.#goTo(this.#at + 1); }

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
      this.why = `Unexpected token '${text[at]}', ${start > 0 ? '...' : ''}"${slice(text, start, end)}"` +
        `${end < text.length ? '...' : ''} is not valid JSON`;
    }
    throw this;
  }

  #skip() {
    while (this.#next === ' ' || this.#next === '\n' || this.#next === '\r' || this.#next === '\t') this.#step();
  }

  // Says whether there were any.
  #skipAll(pattern) {
    const start = this.#at;
    for (;;) {
      pattern.lastIndex = this.#at;
      const found = exec(pattern, this.#text);
      if (found === null) return this.#at > start;
      this.#goTo(this.#at + found[0].length);
    }
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
    if (first === '-' || isDigit(first)) return this.#number();
    if (first === 't') return this.#word('true');
    if (first === 'f') return this.#word('false');
    if (first === 'n') return this.#word('null');
    return this.#unexpected();
  }

  #word(word) {
    for (let place = 0; place < word.length; place++) {
      if (this.#next !== word[place]) this.#unexpected();
      this.#step();
    }
  }

  #array() {
    this.#step();
    this.#skip();
    if (this.#next === ']') return this.#step();
    for (;;) {
      this.#skipAll(ELEMENTS);
      this.#value();
      if (this.#isLast(']', "Expected ',' or ']' after array element in JSON")) return undefined;
    }
  }

  #object() {
    this.#step();
    this.#skip();
    if (this.#next === '}') return this.#step();
    for (let isFirst = true; ; isFirst = false) {
      if (this.#skipAll(MEMBERS)) isFirst = false;
      this.#skip();
      const wanted = isFirst ? "property name or '}'" : 'double-quoted property name';
      if (this.#next !== '"') this.#fail(`Expected ${wanted} in JSON`);
      this.#string();
      this.#skip();
      if (this.#next !== ':') this.#fail("Expected ':' after property name in JSON");
      this.#step();
      this.#value();
      if (this.#isLast('}', "Expected ',' or '}' after property value in JSON")) return undefined;
    }
  }

  // Goes over what ends an element: the bracket or a comma. Says which.
  #isLast(bracket, otherwise) {
    this.#skip();
    const isLast = this.#next === bracket;
    if (!isLast && this.#next !== ',') this.#fail(otherwise);
    this.#step();
    return isLast;
  }

  #string() {
    this.#step();
    for (;;) {
      PLAIN.lastIndex = this.#at;
      const { length } = exec(PLAIN, this.#text)[0];
      this.#goTo(this.#at + length);
      const next = this.#next;
      if (next === '') this.#fail('Unterminated string in JSON');
      if (next === '"') return this.#step();
      if (next === '\\') this.#escape();
      else if (next < ' ') this.#fail('Bad control character in string literal in JSON');
    }
  }

  #escape() {
    this.#step();
    const next = this.#next;
    if (next === 'u') {
      for (let digits = 0; digits < 4; digits++) {
        this.#step();
        if (exec(/[\da-f]/i, this.#next) === null) this.#fail('Bad Unicode escape in JSON');
      }
    } else if (exec(/["\\/bfnrt]/, next) === null) {
      this.#fail('Bad escaped character in JSON');
    }
    this.#step();
  }

  #digits(otherwise) {
    if (!isDigit(this.#next)) this.#fail(otherwise);
    while (isDigit(this.#next)) this.#step();
  }

  #number() {
    if (this.#next === '-') this.#step();
    if (this.#next === '0') {
      this.#step();
      if (isDigit(this.#next)) this.#fail('Unexpected number in JSON');
    } else {
      this.#digits('No number after minus sign in JSON');
    }
    if (this.#next === '.') {
      this.#step();
      this.#digits('Unterminated fractional number in JSON');
    }
    if (this.#next === 'e' || this.#next === 'E') {
      this.#step();
      if (this.#next === '-' || this.#next === '+') this.#step();
      this.#digits('Exponent part is missing a number in JSON');
    }
  }
}

module.exports = { install };
