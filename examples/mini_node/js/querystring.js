'use strict';

// Names and values of a query as text.

const { URLSearchParams } = require('internal/url');

const escape = (text) => encodeURIComponent(String(text));

function unescape(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return new URLSearchParams(`x=${text.replaceAll('+', '%2B').replaceAll('&', '%26')}`).get('x');
  }
}

function parse(text, separator = '&', equals = '=') {
  const values = Object.create(null);
  for (const pair of String(text ?? '').split(separator)) {
    if (pair === '') continue;
    const at = pair.indexOf(equals);
    const plain = (part) => unescape(part.replaceAll('+', ' '));
    const name = plain(at === -1 ? pair : pair.slice(0, at));
    const value = at === -1 ? '' : plain(pair.slice(at + equals.length));
    if (name in values) values[name] = [].concat(values[name], value);
    else values[name] = value;
  }
  return values;
}

function stringify(values, separator = '&', equals = '=') {
  if (values === null || typeof values !== 'object') return '';
  const text = (value) => ['string', 'number', 'boolean', 'bigint'].includes(typeof value) ?
    escape(value) : '';
  return Object.keys(values).flatMap((name) => [].concat(values[name]).map(
    (value) => `${escape(name)}${equals}${text(value)}`)).join(separator);
}

module.exports = { decode: parse, encode: stringify, escape, parse, stringify, unescape };
