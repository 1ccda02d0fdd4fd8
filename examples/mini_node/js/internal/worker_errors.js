// Errors on their way from a worker to its parent. A structured clone keeps of an error only what
// is the language's; its class and its own properties go with it here, as in Node.
'use strict';

const { inspect } = require('internal/inspect');
const native = internalBinding('messaging');

const CLASSES = {
  __proto__: null,
  Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError,
};

// How much of an error's causes goes along.
const DEPTH = 8;

function isCloneable(value) {
  try {
    native.clone(value, [], [], []);
    return true;
  } catch {
    return false;
  }
}

// The nearest class that the other engine has too.
function className(error) {
  for (let prototype = error; prototype !== null; prototype = Object.getPrototypeOf(prototype)) {
    for (const name in CLASSES) {
      if (CLASSES[name].prototype === prototype) return name;
    }
  }
  return 'Error';
}

// A property, undefined if it cannot be read.
function read(object, name) {
  try {
    return object[name];
  } catch {
    return undefined;
  }
}

// A value that has a clone, from which `readError` makes the error again.
function writeError(error, depth = 0) {
  try {
    if (error instanceof Error && depth < DEPTH) {
      const properties = [];
      for (const name of ['name', 'message', 'stack']) {
        const value = read(error, name);
        const own = Object.getOwnPropertyDescriptor(error, name);
        if (isCloneable(value)) properties.push([name, value, Boolean(own?.enumerable)]);
      }
      for (const name of Object.getOwnPropertyNames(error)) {
        if (name === 'name' || name === 'message' || name === 'stack') continue;
        const { enumerable, value } = Object.getOwnPropertyDescriptor(error, name);
        if (name === 'cause' && value instanceof Error) {
          properties.push([name, writeError(value, depth + 1), enumerable, true]);
        } else if (typeof value !== 'function' && isCloneable(value)) {
          properties.push([name, value, enumerable]);
        }
      }
      return { kind: 'error', className: className(error), properties };
    }
    if (typeof error === 'symbol') return { kind: 'symbol', text: error.description };
    if (isCloneable(error)) return { kind: 'value', value: error };
  } catch {
    // A property of the error throws: its text must do.
  }
  try {
    return { kind: 'text', text: inspect(error) };
  } catch {
    return { kind: 'text', text: '<error>' };
  }
}

function readError(written) {
  if (written.kind === 'value') return written.value;
  if (written.kind === 'symbol') return Symbol(written.text);
  if (written.kind === 'text') return written.text;
  const made = new CLASSES[written.className]();
  for (const [name, value, enumerable, isError] of written.properties) {
    if (name === 'name' && value === made.name) continue;
    Object.defineProperty(made, name, {
      __proto__: null,
      value: isError ? readError(value) : value,
      enumerable,
      writable: true,
      configurable: true,
    });
  }
  return made;
}

module.exports = { readError, writeError };
