// The engine's own errors, in the words that V8 has for them. Where V8 names the expression that was
// wrong, and the engine does not tell, the engine's words stay.
'use strict';

const { readFile } = internalBinding('module');
const { endsWith, exec, includesText, slice, split, startsWith, SafeMap, SafeSet } = require('internal/safe');

// A program may replace them.
const { defineProperty, getOwnPropertyDescriptor, getPrototypeOf } = Object;
const { max } = Math;

const symbolName = (name) => (exec(/^Symbol\.\w+$/, name) !== null ? `Symbol(${name})` : name);

const WORDS = [
  [/^cannot read property '(.*)' of (null|undefined)$/s, (_, name, of) =>
    `Cannot read properties of ${of} (reading '${symbolName(name)}')`],
  [/^cannot set property '(.*)' of (null|undefined)$/s, (_, name, of) =>
    `Cannot set properties of ${of} (setting '${symbolName(name)}')`],
  [/^'(.*)' is read-only$/s, (_, name, __, where) => (isProperty(name, where) ?
    `Cannot assign to read only property '${symbolName(name)}' of object` : 'Assignment to constant variable.')],
  [/^(\S+) is not initialized$/, (_, name) => `Cannot access '${name}' before initialization`],
  [/^circular reference$/, () => 'Converting circular structure to JSON'],
  [/^invalid array length$/, () => 'Invalid array length'],
  [/^toPrimitive$/, () => 'Cannot convert object to primitive value'],
  [/^cannot convert symbol to number$/, () => 'Cannot convert a Symbol value to a number'],
  [/^Date value is NaN$/, () => 'Invalid time value'],
  [/^BigInt are forbidden in JSON.stringify$/, () => 'Do not know how to serialize a BigInt'],
  [/^invalid 'instanceof' right operand$/, () => "Right-hand side of 'instanceof' is not an object"],
  [/^(unexpected end of (?:string|comment)|invalid number literal)$/, () => 'Invalid or unexpected token'],
  [/^missing initializer for variable$/, () => 'Missing initializer in const declaration'],
  [/^Octal literals are not allowed in strict mode$/, (text) => `${text}.`],
  [/^(?:break must be inside loop or switch)$/, () => 'Illegal break statement'],
  [/^continue must be inside loop$/, () => 'Illegal continue statement: no surrounding iteration statement'],
  [/^unexpected line terminator in regexp$/, () => 'Invalid regular expression: missing /'],
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

const NATIVE = new SafeSet([TypeError, ReferenceError, RangeError, SyntaxError, URIError].map((one) => one.prototype));

// From a file to its lines, once an error of it has been asked for.
const files = new SafeMap();

function linesOf(file) {
  let lines = files.get(file);
  if (lines === undefined) {
    try {
      lines = split(readFile(file), '\n');
    } catch {
      lines = []; // The script is from no file.
    }
    files.set(file, lines);
  }
  return lines;
}

// Letters of code that are looked at on each side of a place.
const AROUND = 200;

// The code at a place: what is before it and behind it, with two lines more of each. Undefined if the script is from no
// file, as of `eval`.
function codeAt({ file, line, column }) {
  const lines = linesOf(file);
  if (line > lines.length) return undefined;
  const code = lines[line - 1];
  const start = column - 1;
  let before = slice(code, max(0, start - AROUND), start);
  let behind = slice(code, start, start + AROUND);
  for (let i = 1; i <= 2; i++) {
    before = `${slice(lines[line - 1 - i] ?? '', -AROUND)}\n${before}`;
    behind += `\n${slice(lines[line - 1 + i] ?? '', 0, AROUND)}`;
  }
  return { before, behind };
}

// Whether a property was to be changed: the engine has the same words for a variable. It is one if native code has tried
// it, or the code at the place shows one.
function isProperty(name, { site, code }) {
  if (site === undefined || site.getFileName() == null) return true;
  if (code === undefined) return false;
  const { before, behind } = code;
  // The place may be in what is assigned.
  const left = exec(/([^=;{}()\s]*)\s*[-+*/%&|^<>?]{0,3}=[^=;{}>]*$/, before)?.[1];
  if (left === name) return false;
  if (left !== undefined && (endsWith(left, `.${name}`) || endsWith(left, ']'))) return true;
  if (startsWith(behind, name) && exec(/^\s*(\?\.|[.[(])/, slice(behind, name.length)) === null) return false;
  if (exec(/^[\w$\u0080-\uffff]+\s*(\?\.|[.[(])/, behind) !== null) return true;
  const target = exec(/^[^=;]*/, behind)[0];
  return includesText(target, `.${name}`) || exec(/\[\s*['"`]/, target) !== null;
}

// Whether the innermost frame is a function, and not the place of a syntax error.
function isCall(site) {
  try {
    return site.getFunction() != null;
  } catch {
    return false;
  }
}

// Whether the program has made the error itself, at this innermost frame. The place is that of the class then, or within
// its arguments.
function isPrograms(site, code) {
  if (site.getFileName() == null) return exec(/^(call|apply|construct)$/, site.getFunctionName() ?? '') !== null;
  if (code === undefined || !isCall(site)) return false;
  return exec(/^[\w$.\s]*Error\s*\(/, code.behind) !== null || isWithinError(code.before);
}

// Whether a text ends within the arguments of what is called an error.
function isWithinError(text) {
  if (!includesText(text, 'Error')) return false;
  let depth = 0;
  for (let i = text.length - 1; i > 0; i--) {
    const letter = text[i];
    if (letter === ')') depth++;
    else if (letter === ';' && depth === 0) return false;
    else if (letter === '(' && depth-- === 0) {
      if (exec(/Error\s*$/, slice(text, max(0, i - AROUND), i)) !== null) return true;
      depth = 0;
    }
  }
  return false;
}

// Changes the message of an error that the engine has just made. Of its innermost frame the place is known if it is in a
// script. A program may have no frames at all (`Error.stackTraceLimit = 0`): then the engine is believed to have made it.
module.exports = function inNodesWords(error, site, positionOf) {
  if (!NATIVE.has(getPrototypeOf(error))) return;
  const message = getOwnPropertyDescriptor(error, 'message')?.value;
  if (typeof message !== 'string') return;
  for (let i = 0; i < WORDS.length; i++) {
    const found = exec(WORDS[i][0], message);
    if (found !== null) {
      const position = site && positionOf(site);
      const code = position && codeAt(position);
      if (site !== undefined && isPrograms(site, code)) return;
      defineProperty(error, 'message', { value: WORDS[i][1](found[0], found[1], found[2], { site, code }) });
      return;
    }
  }
};
