// Exceptions that nobody caught: they go to the handlers of `process`, else they are printed and
// the program ends.
'use strict';

const native = internalBinding('process');
const { inspect } = require('internal/inspect');
const { positionOfError, positionOfLastThrow } = require('internal/stack');
const { readFile } = internalBinding('module');
const { abortsOnUncaught } = internalBinding('options');

// What setUncaughtExceptionCaptureCallback was given.
let capture = null;

// How a worker reports what ends it, in place of printing it.
let reporter = null;

// The code of a program that has taken away what handles its errors.
const NO_HANDLER = 6;

// Nobody caught the error. What is done about it is a property of `process`, which programs may
// change.
function triggerUncaught(error, fromPromise) {
  const { _fatalException } = process;
  if (typeof _fatalException === 'function') return _fatalException(error, fromPromise);
  native.write(2, describe(error));
  native.reallyExit(NO_HANDLER);
  return false;
}

// Says whether a handler took it. If none did, the program ends.
function handleUncaught(error, fromPromise) {
  const origin = fromPromise ? 'unhandledRejection' : 'uncaughtException';
  try {
    process.emit('uncaughtExceptionMonitor', error, origin);
    if (capture !== null) {
      capture(error);
      return true;
    }
    if (abortsOnUncaught) {
      native.write(2, describe(error));
      native.abort();
    }
    if (process.emit('uncaughtException', error, origin)) return true;
  } catch (another) {
    // The handler has failed: nobody is asked any more.
    endWith(another, reporter === null ? 7 : 1); // As in Node, a worker has no codes of its own.
  }
  try {
    if (!process._exiting) {
      process._exiting = true;
      process.exitCode = 1;
      process.emit('exit', 1);
    }
  } catch {
    // There is already an error to report, and the program ends with it.
  }
  endWith(error, typeof process.exitCode === 'number' ? process.exitCode : 1);
  return false;
}

// Tells of the error, and ends the program. Nothing runs after it.
function endWith(error, code) {
  if (reporter !== null) reporter(error, code);
  else native.write(2, describe(error));
  native.reallyExit(code);
}

// The place, the line, a caret, and the stack.
function describe(error) {
  const isObject = typeof error === 'object' && error !== null;
  const isError = isObject && (error instanceof Error || typeof error.stack === 'string');
  const where = showPosition(isObject ? positionOfError(error) ?? positionOfLastThrow() : positionOfLastThrow());
  let text;
  try {
    text = isError || isObject || typeof error === 'function' ? inspect(error) : String(error);
  } catch {
    text = '<error>';
  }
  const hint = isError ? '' : '\n(Use `node --trace-uncaught ...` to show where the exception was thrown)';
  return `${where}${text}${isObject ? '' : hint}\n\nmini_node, after Node.js ${process.version}\n`;
}

function showPosition(position) {
  if (position === undefined) return 'Uncaught:\n';
  const { file, line, column } = position;
  const source = lineOf(file, line);
  if (source === undefined) return `${file}:${line}\n`;
  // Of `throw new Error()` V8 shows the throw, of `new Error()` the `new`, and the engine the call.
  const before = source.slice(0, column - 1);
  const start = /(\bthrow\s+)?(\bnew\s+)?$/.exec(before).index;
  // Tabs stay, so that the caret stands below its letter.
  const margin = source.slice(0, start).replace(/[^\t]/g, ' ');
  return `${file}:${line}\n${source}\n${margin}^\n\n`;
}

function lineOf(file, line) {
  try {
    return readFile(file).split('\n')[line - 1];
  } catch {
    return undefined; // The script is from no file.
  }
}

native.onUncaught((error, fromPromise) => triggerUncaught(error, fromPromise));

module.exports = {
  describe,
  handleUncaught,
  triggerUncaught,
  hasCapture: () => capture !== null,
  setCapture(callback) { capture = callback; },
  setReporter(callback) { reporter = callback; },
};
