// The engine's own errors, in the words that V8 has for them. Where V8 names the expression that was
// wrong, and the engine does not tell, the engine's words stay.
'use strict';

const symbolName = (name) => (/^Symbol\.\w+$/.test(name) ? `Symbol(${name})` : name);

const WORDS = [
  [/^cannot read property '(.*)' of (null|undefined)$/s, (_, name, of) =>
    `Cannot read properties of ${of} (reading '${symbolName(name)}')`],
  [/^cannot set property '(.*)' of (null|undefined)$/s, (_, name, of) =>
    `Cannot set properties of ${of} (setting '${symbolName(name)}')`],
  [/^'.*' is read-only$/s, () => 'Assignment to constant variable.'],
  [/^(\S+) is not initialized$/, (_, name) => `Cannot access '${name}' before initialization`],
  [/^circular reference$/, () => 'Converting circular structure to JSON'],
  [/^invalid array length$/, () => 'Invalid array length'],
  [/^cannot convert symbol to string$/, () => 'Cannot convert a Symbol value to a string'],
  [/^cannot convert BigInt to number$/, () => 'Cannot mix BigInt and other types, use explicit conversions'],
  [/^class constructors must be invoked with 'new'$/, () => "Class constructor cannot be invoked without 'new'"],
  [/^expecting hex digit$/, () => 'URI malformed'],
  [/^empty array$/, () => 'Reduce of empty array with no initial value'],
  [/^unexpected token in expression: '(.+)'$/s, (_, token) => `Unexpected token '${token}'`],
  [/^unexpected (end|token in expression: '')$/, () => 'Unexpected end of input'],
];

const NATIVE = new Set([TypeError, ReferenceError, RangeError, SyntaxError, URIError].map((one) => one.prototype));

// Changes the message of an error that the engine has just made.
module.exports = function inNodesWords(error) {
  if (!NATIVE.has(Object.getPrototypeOf(error))) return;
  const message = Object.getOwnPropertyDescriptor(error, 'message')?.value;
  if (typeof message !== 'string') return;
  for (const [pattern, words] of WORDS) {
    if (pattern.test(message)) {
      Object.defineProperty(error, 'message', { value: message.replace(pattern, words) });
      return;
    }
  }
};
