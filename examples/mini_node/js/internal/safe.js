// What the built-in modules take of the language before a program can put something else in its place: methods as
// functions, and collections that have methods of their own.
'use strict';

const { bind, call } = Function.prototype;
const { defineProperty, getOwnPropertyDescriptor, setPrototypeOf } = Object;
const { ownKeys } = Reflect;

// A method as a function of the object and the arguments.
const asFunction = bind.bind(call);

// A class like another one, of which a program knows nothing.
function safe(Class) {
  class Safe extends Class {}
  for (const key of ownKeys(Class.prototype)) {
    if (key !== 'constructor') defineProperty(Safe.prototype, key, getOwnPropertyDescriptor(Class.prototype, key));
  }
  setPrototypeOf(Safe.prototype, null);
  return Safe;
}

module.exports = {
  asFunction,
  endsWith: asFunction(String.prototype.endsWith),
  includes: asFunction(Array.prototype.includes),
  exec: asFunction(RegExp.prototype.exec),
  includesText: asFunction(String.prototype.includes),
  split: asFunction(String.prototype.split),
  slice: asFunction(String.prototype.slice),
  startsWith: asFunction(String.prototype.startsWith),
  SafeMap: safe(Map),
  SafeSet: safe(Set),
  SafeWeakMap: safe(WeakMap),
  SafeWeakRef: safe(WeakRef),
  SafeWeakSet: safe(WeakSet),
};
