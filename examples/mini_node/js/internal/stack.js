// The stacks of errors, in V8's form: a line that says what the error is, then a line for each
// function, from the innermost on.
'use strict';

// A program may replace it.
const { Error } = globalThis;
const native = internalBinding('process');
const { prefixLength } = internalBinding('module');
const inNodesWords = require('internal/words');

// The functions that files of CommonJS are. Their first line begins with parameters that no file has.
const moduleFunctions = new WeakSet();

// What the script of a worker is called that came as text. It is no such function.
const WORKER_EVAL = '[worker eval]';

// Where an error was made, for the report of one that nobody caught.
const positions = new WeakMap();

// Where a value that is no error was thrown last.
let lastThrow;

// What a program has set as Error.prepareStackTrace.
let userPrepare;

const toText = Error.prototype.toString;

function headerOf(error) {
  try {
    return toText.call(error);
  } catch {
    return '<error>'; // Its name or message cannot be read.
  }
}

function isNative(site) {
  return site.getFileName() == null;
}

function positionOf(site) {
  const file = site.getFileName();
  if (file == null) return undefined;
  const line = site.getLineNumber();
  let column = site.getColumnNumber();
  // The first line has the parameters before it.
  if (line === 1 && !file.startsWith('node:') && file !== WORKER_EVAL) column = Math.max(1, column - prefixLength);
  return { file, line, column };
}

function isModuleFunction(site) {
  try {
    return moduleFunctions.has(site.getFunction());
  } catch {
    return false; // A frame without a function: a syntax error's.
  }
}

function frameOf(site) {
  const position = positionOf(site);
  let name = site.getFunctionName();
  // How the built-in modules call is nobody's business.
  if (position === undefined && (name === 'call' || name === 'apply')) return undefined;
  if (position === undefined) return name ? `    at ${name} (<anonymous>)` : undefined;
  const place = `${position.file}:${position.line}:${position.column}`;
  if (isModuleFunction(site)) name = 'Object.<anonymous>';
  if (!name || name === '<anonymous>' || name === '<eval>') return `    at ${place}`;
  return `    at ${name} (${place})`;
}

// Whether the native part asks for a line, and what it is told.
let isAsked = false;
let caller;

// The innermost line of a script, and the function of the built-in modules that it called.
function callerIn(sites) {
  let name = '';
  for (const site of sites) {
    const position = positionOf(site);
    if (position === undefined) continue;
    if (!position.file.startsWith('node:')) return { name, ...position };
    name = site.getFunctionName() || name;
  }
  return undefined;
}

function findCaller() {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 100;
  isAsked = true;
  try {
    new Error(); // Its stack is what `prepare` looks through.
  } finally {
    isAsked = false;
    Error.stackTraceLimit = limit;
  }
  const found = caller;
  caller = undefined;
  return found;
}

function prepare(error, sites) {
  if (isAsked) {
    caller = callerIn(sites);
    return undefined;
  }
  const isObject = typeof error === 'object' && error !== null;
  const first = sites.find((site) => !isNative(site) && !site.getFileName().startsWith('node:'));
  const position = first && positionOf(first);
  if (!isObject) {
    lastThrow = position;
    return undefined;
  }
  inNodesWords(error);
  if (position !== undefined) positions.set(error, position);
  if (typeof userPrepare === 'function') {
    try {
      return userPrepare(error, sites);
    } catch {
      return undefined; // On Node whoever asks for the stack gets what it throws; here nobody has asked.
    }
  }
  let text = headerOf(error);
  for (const site of sites) {
    const frame = frameOf(site);
    if (frame !== undefined) text += `\n${frame}`;
  }
  return text;
}

function install() {
  Error.stackTraceLimit = 10;
  Error.prepareStackTrace = prepare;
  const { set } = Object.getOwnPropertyDescriptor(Error, 'prepareStackTrace');
  native.onInterrupted(() => set.call(Error, undefined));
  native.onCaller(findCaller);
  // From now on the engine's own is out of reach, and programs set theirs.
  Object.defineProperty(Error, 'prepareStackTrace', {
    configurable: true,
    enumerable: false,
    get() { return userPrepare; },
    set(value) { userPrepare = value; },
  });
}

module.exports = {
  WORKER_EVAL,
  install,
  moduleFunctions,
  positionOfError: (error) => positions.get(error),
  positionOfLastThrow: () => lastThrow,
};
