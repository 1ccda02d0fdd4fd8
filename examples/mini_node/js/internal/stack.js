// The stacks of errors, in V8's form: a line that says what the error is, then a line for each
// function, from the innermost on.
'use strict';

// A program may replace them.
const { Error } = globalThis;
const { isError } = Error;
const { is, isExtensible, getOwnPropertyDescriptor, defineProperty } = Object;
const { defineProperty: tryToDefine, deleteProperty, ownKeys } = Reflect;
const native = internalBinding('process');
const { prefixLength } = internalBinding('module');
const { isProxy } = internalBinding('util');
const { asFunction, startsWith, SafeWeakMap, SafeWeakRef, SafeWeakSet } = require('internal/safe');
const inNodesWords = require('internal/words');

// The functions that files of CommonJS are. Their first line begins with parameters that no file has.
const moduleFunctions = new SafeWeakSet();

// What the script of a worker is called that came as text. It is no such function.
const WORKER_EVAL = '[worker eval]';

// From an error to its `Trace`. Where the stack was used up there is none.
const traces = new SafeWeakMap();

// What was thrown last that is no error, and where. An object is not kept alive by it.
let lastThrow;

const isObject = (value) => (typeof value === 'object' && value !== null) || typeof value === 'function';

function keepThrow(value, place) {
  lastThrow = { value: isObject(value) ? new SafeWeakRef(value) : value, place };
}

function isLastThrow(value) {
  if (lastThrow === undefined) return false;
  const { value: last } = lastThrow;
  return is(isObject(last) ? last.deref() : last, value);
}

// What a program has set as Error.prepareStackTrace.
let userPrepare;

// `captureStackTrace` asks, and what it is told.
let isCapturing = false;
let captured;

const toText = asFunction(Error.prototype.toString);

function headerOf(error) {
  try {
    return toText(error);
  } catch {
    return '<error>'; // Its name or message cannot be read.
  }
}

function positionOf(site) {
  const file = site.getFileName();
  if (file == null) return undefined;
  const line = site.getLineNumber();
  let column = site.getColumnNumber();
  // The first line has the parameters before it.
  if (line === 1 && !startsWith(file, 'node:') && file !== WORKER_EVAL) column = Math.max(1, column - prefixLength);
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
  for (let i = 0; i < sites.length; i++) {
    const position = positionOf(sites[i]);
    if (position === undefined) continue;
    if (!startsWith(position.file, 'node:')) return { name, ...position };
    name = sites[i].getFunctionName() || name;
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

// The innermost place in a script of a file. What `eval` runs is of none.
function placeIn(sites) {
  for (let i = 0; i < sites.length; i++) {
    const file = sites[i].getFileName();
    if (file != null && file !== '<input>' && !startsWith(file, 'node:')) return positionOf(sites[i]);
  }
  return undefined;
}

function isBuiltin(site) {
  const file = site?.getFileName();
  return file != null && startsWith(file, 'node:');
}

// What is known of an error: where it was made, and where it was thrown, the first time and the last.
//
// The text is made when it is first asked for, as in V8: a class may give its errors a name behind `super()`.
class Trace {
  #sites;
  #text;
  made;
  thrown;
  rethrown;

  constructor(sites) {
    this.#sites = sites;
    this.made = placeIn(sites);
  }

  threw(sites) {
    // How the built-in modules pass an error on is nobody's business.
    if (this.thrown !== undefined && isBuiltin(sites[0])) return;
    const place = placeIn(sites);
    this.thrown ??= place;
    this.rethrown = place;
  }

  textOf(error) {
    if (this.#sites !== undefined) {
      const sites = this.#sites;
      this.#sites = undefined;
      this.#text = headerOf(error);
      this.#text = typeof userPrepare === 'function' ? userPrepare(error, sites) : textOf(error, sites);
    }
    return this.#text;
  }
}

function textOf(error, sites) {
  let text = headerOf(error);
  for (let i = 0; i < sites.length; i++) {
    const frame = frameOf(sites[i]);
    if (frame !== undefined) text += `\n${frame}`;
  }
  return text;
}

// The engine calls this when an error is made, and when anything is thrown that it knows no stack of. The result would
// be that stack. It is kept here instead, so that the engine tells of the throw too.
function prepare(error, sites) {
  if (isAsked) {
    caller = callerIn(sites);
    return undefined;
  }
  if (isCapturing) {
    captured = sites;
    return undefined;
  }
  if (!isError(error)) {
    const isPassedOn = isLastThrow(error) && isBuiltin(sites[0]);
    if (!isPassedOn) keepThrow(error, placeIn(sites));
    return true; // It is not asked for again, further out.
  }
  const known = traces.get(error);
  if (known !== undefined) {
    known.threw(sites);
    return true;
  }
  const trace = new Trace(sites);
  inNodesWords(error, sites[0], positionOf);
  traces.set(error, trace);
  if (getOwnPropertyDescriptor(error, 'stack') === undefined && isExtensible(error)) defineFirst(error, trace);
  return undefined;
}

// Gives an object a stack whose text is made when it is first asked for: a property that becomes a plain one then.
function defineLazily(object, trace) {
  const get = function stack() {
    const text = trace.textOf(this);
    if (isObject(this) && !isProxy(this) && getOwnPropertyDescriptor(this, 'stack')?.get === get) define(this, 'stack', text);
    return text;
  };
  defineProperty(object, 'stack', { get, set: setStack, configurable: true, enumerable: false });
}

// The same as the first property that an error has, as on Node: the engine has made the message before it.
function defineFirst(error, trace) {
  const keys = ownKeys(error);
  const others = [];
  for (let i = 0; i < keys.length; i++) {
    const descriptor = getOwnPropertyDescriptor(error, keys[i]);
    if (!descriptor.configurable) break;
    others[i] = descriptor;
    deleteProperty(error, keys[i]);
  }
  defineLazily(error, trace);
  for (let i = 0; i < others.length; i++) defineProperty(error, keys[i], others[i]);
}

// What an assignment does. Of what only inherits from an error it makes a property like any other.
function setStack(value) {
  if (!isObject(this)) return;
  const isNew = getOwnPropertyDescriptor(this, 'stack') === undefined;
  tryToDefine(this, 'stack', { value, writable: true, configurable: true, enumerable: isNew });
}

function install() {
  Error.stackTraceLimit = 10;
  Error.prepareStackTrace = prepare;
  const { set } = Object.getOwnPropertyDescriptor(Error, 'prepareStackTrace');
  native.onInterrupted(() => set.call(Error, undefined));
  native.onCaller(findCaller);
  // From now on the engine's own is out of reach, and programs set theirs.
  defineProperty(Error, 'prepareStackTrace', {
    configurable: true,
    enumerable: false,
    get() { return userPrepare; },
    set(value) { userPrepare = value; },
  });
  const capture = Error.captureStackTrace;
  define(Error, 'captureStackTrace', function captureStackTrace(target, above) {
    isCapturing = true;
    try {
      capture(target, typeof above === 'function' ? above : captureStackTrace);
    } finally {
      isCapturing = false;
    }
    const trace = new Trace(captured ?? []);
    captured = undefined;
    defineLazily(target, trace);
  });
  // An error for which there was no room on the stack has none of its own.
  defineProperty(Error.prototype, 'stack', {
    configurable: true,
    enumerable: false,
    get() { return isError(this) && !traces.has(this) ? headerOf(this) : undefined; },
    set: setStack,
  });
}

function define(object, name, value) {
  tryToDefine(object, name, { value, writable: true, configurable: true, enumerable: false });
}

module.exports = {
  WORKER_EVAL,
  install,
  moduleFunctions,
  // Where an error was made, and where it or another value was thrown.
  placeOfMaking: (error) => traces.get(error)?.made,
  placesOfThrow(value) {
    const trace = traces.get(value);
    if (trace !== undefined) return [trace.rethrown, trace.thrown, trace.made];
    return isLastThrow(value) ? [lastThrow.place] : [];
  },
};
