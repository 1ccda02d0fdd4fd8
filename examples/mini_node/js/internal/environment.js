// The environment of a program: what is assigned becomes text, as with the system's.
'use strict';

const { codes, define } = require('internal/errors');

define('ERR_INVALID_OBJECT_DEFINE_PROPERTY', (why) => why, TypeError);

module.exports = function environment(pairs) {
  const values = Object.create(null);
  for (const [name, value] of pairs) values[name] = value;
  Object.setPrototypeOf(values, Object.prototype);
  return new Proxy(values, {
    set(target, name, value) {
      if (typeof name === 'symbol' || typeof value === 'symbol') {
        throw new TypeError('Cannot convert a Symbol value to a string');
      }
      target[name] = String(value);
      return true;
    },
    defineProperty(target, name, descriptor) {
      if ('get' in descriptor || 'set' in descriptor) {
        throw new codes.ERR_INVALID_OBJECT_DEFINE_PROPERTY(
          "'process.env' does not accept an accessor(getter/setter) descriptor");
      }
      if (!descriptor.configurable || !descriptor.writable || !descriptor.enumerable) {
        throw new codes.ERR_INVALID_OBJECT_DEFINE_PROPERTY("'process.env' only accepts a " +
          'configurable, writable, and enumerable data descriptor');
      }
      return Reflect.defineProperty(target, name, { ...descriptor, value: String(descriptor.value) });
    },
  });
};
