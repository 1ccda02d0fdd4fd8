// Exceptions that nobody caught: they go to the handlers of `process`, else they are printed and
// the program ends.
'use strict';

// A program may replace it.
const { isError } = Error;
const native = internalBinding('process');
const { inspect } = require('internal/inspect');
const { placeOfMaking, placesOfThrow } = require('internal/stack');
const { readFile } = internalBinding('module');
const { abortsOnUncaught } = internalBinding('options');

// What setUncaughtExceptionCaptureCallback was given.
let capture = null;

// How a worker reports what ends it, in place of printing it.
let reporter = null;

// The error is of a microtask. In a worker it ends the drain no more than on Node.
let isOfJob = false;

// The worker ends behind the drain: no error is told any more.
let isEnding = false;

// The code of a program that has taken away what handles its errors.
const NO_HANDLER = 6;

// Nobody caught the error. What is done about it is a property of `process`, which programs may
// change.
function triggerUncaught(error, fromPromise) {
  const { _fatalException } = process;
  if (typeof _fatalException === 'function') return _fatalException(error, fromPromise);
  native.write(2, describe(error, fromPromise));
  native.reallyExit(NO_HANDLER);
  return false;
}

function triggerUncaughtOfJob(error) {
  isOfJob = true;
  try {
    triggerUncaught(error, false);
  } finally {
    isOfJob = false;
  }
}

// Says whether a handler took it. If none did, the program ends.
function handleUncaught(error, fromPromise) {
  if (isEnding) return true;
  const origin = fromPromise ? 'unhandledRejection' : 'uncaughtException';
  try {
    process.emit('uncaughtExceptionMonitor', error, origin);
    if (capture !== null) {
      capture(error);
      return true;
    }
    if (abortsOnUncaught) {
      native.write(2, describe(error, fromPromise));
      native.abort();
    }
    if (process.emit('uncaughtException', error, origin)) return true;
  } catch (another) {
    // The handler has failed: nobody is asked any more.
    endWith(another, false, reporter === null ? 7 : 1); // As in Node, a worker has no codes of its own.
    return false;
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
  endWith(error, fromPromise, typeof process.exitCode === 'number' ? process.exitCode : 1);
  return false;
}

// Tells of the error, and ends the program. Nothing runs after it, or in a worker what is left of the drain.
function endWith(error, fromPromise, code) {
  if (reporter !== null) {
    isEnding = isOfJob;
    reporter(error, code, isOfJob);
    return;
  }
  native.write(2, describe(error, fromPromise));
  native.reallyExit(code);
}

// The place, the line, a caret, and the stack. Of what is no error Node has the empty line before the place.
function describe(error, fromPromise) {
  const isObject = (typeof error === 'object' && error !== null) || typeof error === 'function';
  const place = fromPromise ? whereMade(error) : whereThrown(error);
  let where = place === undefined ? 'Uncaught:\n' : `${place}\n`;
  if (place?.includes('\n')) where = isError(error) ? `${place}\n\n` : `\n${place}\n`;
  let text, hint = !isObject;
  try {
    text = isObject ? inspect(error) : String(error);
  } catch {
    text = Object.prototype.toString.call(error);
    hint = true;
  }
  if (hint) text += '\n(Use `node --trace-uncaught ...` to show where the exception was thrown)';
  return `${where}${text}\n\nmini_node, after Node.js ${process.version}\n`;
}

// Of a rejection it is shown where the error was made.
function whereMade(error) {
  return show(placeOfMaking(error), (before) => /(\bnew\s+)?$/.exec(before).index);
}

// The last statement that has thrown the error. What only let it pass, as `finally` does, is none. V8 shows the word
// `throw`, the engine something in what follows it.
function whereThrown(value) {
  const places = placesOfThrow(value);
  for (const place of places) {
    const shown = show(place, (before, rest) => (/\bthrow\b[\w$.\s({[]*$/.exec(before) ?? /^throw\b/.exec(rest))?.index);
    if (shown !== undefined) return shown;
  }
  return show(places.at(-1), (before) => before.length);
}

// The line with a caret below, where `caretIn` says that it stands: it gets what is before the place and behind it.
function show(place, caretIn) {
  if (place === undefined) return undefined;
  const { file, line, column } = place;
  const source = lineOf(file, line);
  const start = caretIn((source ?? '').slice(0, column - 1), (source ?? '').slice(column - 1));
  if (start === undefined) return undefined;
  if (source === undefined) return `${file}:${line}`;
  // Tabs stay, so that the caret stands below its letter.
  const margin = source.slice(0, start).replace(/[^\t]/g, ' ');
  return `${file}:${line}\n${source}\n${margin}${start < source.length ? '^' : ''}`;
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
  triggerUncaughtOfJob,
  isEnding: () => isEnding,
  hasCapture: () => capture !== null,
  setCapture(callback) { capture = callback; },
  setReporter(callback) { reporter = callback; },
};
