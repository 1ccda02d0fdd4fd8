'use strict';

// Errors as Node's modules for input and output make them: a system error has a code, a number, the
// name of the call and what it was about.

const { codes, received, setStack } = require('internal/errors');
const { errors } = internalBinding('uv');

/** An error with a code, as its stack names it: `Error [ERR_X]: text`. */
function codedError(code, text, Type = Error) {
  const error = new Type(text);
  Error.captureStackTrace?.(error, codedError);
  const { name, stack } = error;
  if (stack.startsWith(name)) setStack(error, `${name} [${code}]${stack.slice(name.length)}`);
  error.code = code;
  return error;
}

/** The error of something that came from the loop: no line of a script is to blame. */
function withoutFrames(error) {
  setStack(error, `${error.name}: ${error.message}`);
  return error;
}

function nameOf(name) {
  if (name.endsWith(' argument')) return name;
  return `"${name}" ${name.includes('.') ? 'property' : 'argument'}`;
}

function invalidArgType(name, expected, value) {
  return codedError('ERR_INVALID_ARG_TYPE',
                    `The ${nameOf(name)} must be ${expected}.${received(value)}`, TypeError);
}

function invalidArgValue(name, value, reason = 'is invalid') {
  return new codes.ERR_INVALID_ARG_VALUE(name, value, reason);
}

function outOfRange(name, range, value) {
  return new codes.ERR_OUT_OF_RANGE(name, range, value);
}

/** The name and the text of a system's error number. */
function describe(errno) {
  return errors[errno] ?? [`Unknown system error ${errno}`, 'unknown error'];
}

/** The error of a call on files: `ENOENT: no such file or directory, open 'x'`. */
function fileError(errno, syscall, path, dest) {
  const [code, text] = describe(errno);
  let message = `${code}: ${text}, ${syscall}`;
  if (path !== undefined) message += ` '${path}'`;
  if (dest !== undefined) message += ` -> '${dest}'`;
  const error = new Error(message);
  error.errno = errno;
  error.code = code;
  error.syscall = syscall;
  if (path !== undefined) error.path = path;
  if (dest !== undefined) error.dest = dest;
  return error;
}

/** The error of a call on a socket: `read ECONNRESET`. */
function socketError(errno, syscall) {
  const [code] = describe(errno);
  const error = new Error(`${syscall} ${code}`);
  error.errno = errno;
  error.code = code;
  error.syscall = syscall;
  return error;
}

/** The error of a connect: `connect ECONNREFUSED 127.0.0.1:1`. */
function connectError(errno, address, port, local) {
  const [code] = describe(errno);
  let text = port > 0 ? `${address}:${port}` : address;
  if (local) text += ` - Local (${local})`;
  const error = new Error(`connect ${code} ${text}`);
  error.errno = errno;
  error.code = code;
  error.syscall = 'connect';
  error.address = address;
  if (port) error.port = port;
  return error;
}

/** The error of a listen: `listen EADDRINUSE: address already in use :::80`. */
function listenError(errno, address, port) {
  const [code, reason] = describe(errno);
  const where = port > 0 ? `${address}:${port}` : address;
  const error = new Error(`listen ${code}: ${reason} ${where}`);
  error.code = code;
  error.errno = errno;
  error.syscall = 'listen';
  error.address = address;
  if (port) error.port = port;
  return error;
}

/** The error of a look-up: `getaddrinfo ENOTFOUND nowhere`. */
function lookupError(code, errno, hostname) {
  const error = new Error(`getaddrinfo ${code}${hostname ? ` ${hostname}` : ''}`);
  error.errno = errno;
  error.code = code;
  error.syscall = 'getaddrinfo';
  if (hostname) error.hostname = hostname;
  return error;
}

module.exports = {
  codedError, connectError, describe, fileError, invalidArgType, invalidArgValue, listenError,
  lookupError, outOfRange, socketError, withoutFrames,
};
