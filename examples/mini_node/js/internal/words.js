// The engine's own errors, in the words that V8 has for them. Where V8 names the expression that was
// wrong, and the engine does not tell, the engine's words stay.
'use strict';

const { readFile } = internalBinding('module');

const symbolName = (name) => (/^Symbol\.\w+$/.test(name) ? `Symbol(${name})` : name);

const WORDS = [
  [/^cannot read property '(.*)' of (null|undefined)$/s, (_, name, of) =>
    `Cannot read properties of ${of} (reading '${symbolName(name)}')`],
  [/^cannot set property '(.*)' of (null|undefined)$/s, (_, name, of) =>
    `Cannot set properties of ${of} (setting '${symbolName(name)}')`],
  [/^'(.*)' is read-only$/s, (_, name, place) => (isVariable(name, place) ? 'Assignment to constant variable.' :
    `Cannot assign to read only property '${symbolName(name)}' of object`)],
  [/^(\S+) is not initialized$/, (_, name) => `Cannot access '${name}' before initialization`],
  [/^circular reference$/, () => 'Converting circular structure to JSON'],
  [/^invalid array length$/, () => 'Invalid array length'],
  [/^toPrimitive$/, () => 'Cannot convert object to primitive value'],
  [/^cannot convert symbol to number$/, () => 'Cannot convert a Symbol value to a number'],
  [/^Date value is NaN$/, () => 'Invalid time value'],
  [/^BigInt are forbidden in JSON.stringify$/, () => 'Do not know how to serialize a BigInt'],
  [/^invalid 'instanceof' right operand$/, () => "Right-hand side of 'instanceof' is not an object"],
  [/^(unexpected end of string|invalid number literal)$/, () => 'Invalid or unexpected token'],
  [/^missing initializer for variable$/, () => 'Missing initializer in const declaration'],
  [/^Octal literals are not allowed in strict mode$/, (text) => `${text}.`],
  [/^(?:break must be inside loop or switch)$/, () => 'Illegal break statement'],
  [/^expecting catch or finally$/, () => 'Missing catch or finally after try'],
  [/^invalid increment\/decrement operand$/, () => 'Invalid left-hand side expression in postfix operation'],
  [/^invalid assignment left-hand side$/, () => 'Invalid left-hand side in assignment'],
  [/^duplicate default$/, () => 'More than one default clause in switch statement'],
  [/^duplicate __proto__ property name$/, () => 'Duplicate __proto__ fields are not allowed in object literals'],
  [/^super\(\) is only valid in a derived class constructor$/, () => "'super' keyword unexpected here"],
  [/^cannot convert symbol to string$/, () => 'Cannot convert a Symbol value to a string'],
  [/^cannot convert BigInt to number$/, () => 'Cannot mix BigInt and other types, use explicit conversions'],
  [/^class constructors must be invoked with 'new'$/, () => "Class constructor cannot be invoked without 'new'"],
  [/^expecting hex digit$/, () => 'URI malformed'],
  [/^empty array$/, () => 'Reduce of empty array with no initial value'],
  [/^unexpected token in expression: '(.+)'$/s, (_, token) => `Unexpected token '${token}'`],
  [/^unexpected (end|token in expression: '')$/, () => 'Unexpected end of input'],
];

const NATIVE = new Set([TypeError, ReferenceError, RangeError, SyntaxError, URIError].map((one) => one.prototype));

// The engine has the same words for a variable and for a property. The script knows what stands at the place.
function isVariable(name, place) {
  let line;
  try {
    line = place && readFile(place.file).split('\n')[place.line - 1];
  } catch {
    // The script is from no file.
  }
  if (line === undefined) return true;
  return line.startsWith(name, place.column - 1) && line[place.column - 2] !== '.';
}

// Changes the message of an error that the engine has just made, of which the innermost place is known.
module.exports = function inNodesWords(error, place) {
  if (!NATIVE.has(Object.getPrototypeOf(error))) return;
  const message = Object.getOwnPropertyDescriptor(error, 'message')?.value;
  if (typeof message !== 'string') return;
  for (const [pattern, words] of WORDS) {
    const found = pattern.exec(message);
    if (found !== null) {
      Object.defineProperty(error, 'message', { value: words(...found, place) });
      return;
    }
  }
};
