'use strict';

// Files. The callback form does each call of the system on the pool, and what takes several, such
// as `readFile`, is a chain of them, as in Node: other callbacks come between in the same places.
// The sync form does the same calls at once.

const native = internalBinding('fs');
const operations = require('internal/fs/operations');
const utils = require('internal/fs/utils');
const { Buffer } = require('buffer');
const { codedError, fileError, withoutFrames } = require('internal/io_errors');
const {
  Dirent, Stats, constants, decode, toBytes, toCallback, toFd, toMode, toOptions, toPath,
  toPosition, toRange,
} = utils;

const fs = {};

/** The error of an operation that came back from the pool: no frame of the script is on it. */
function failure(errno, { syscall, path, dest }) {
  return withoutFrames(fileError(errno, syscall, path, dest));
}

/** Descriptors that a worker has opened are closed with it: the native part keeps an eye on them. */
function noteOpened(fd) {
  if (native.noteOpened(fd)) return;
  process.emitWarning(`File descriptor ${fd} opened in unmanaged mode twice`);
}
function noteClosed({ syscall, call: [, fd] }) {
  if (syscall !== 'close' || native.noteClosed(fd)) return;
  process.emitWarning(`File descriptor ${fd} closed but not opened in unmanaged mode`);
}

/** Starts an operation on the pool. */
function start(operation, callback) {
  const { call: [act, ...args], make, syscall } = operation;
  noteClosed(operation);
  act(...args, (errno, result) => {
    if (!errno && syscall === 'open') noteOpened(result);
    if (errno) callback(failure(errno, operation));
    else if (result === undefined) callback(null);
    else callback(null, make ? make(result) : result);
  });
}

/** Does an operation at once. */
function doNow(operation) {
  const { call: [act, ...args], make, syscall } = operation;
  noteClosed(operation);
  const [errno, result] = act(...args);
  if (errno) throw fileError(errno, syscall, operation.path, operation.dest);
  if (syscall === 'open') noteOpened(result);
  return make && result !== undefined ? make(result) : result;
}

// How many arguments there may be before the callback is not told by the operation: it is last.
for (const [name, operation] of Object.entries(operations)) {
  fs[name] = function(...args) {
    const last = args.findLastIndex((arg) => arg !== undefined);
    const callback = toCallback(typeof args[last] === 'function' ? args[last] : undefined);
    start(operation(...args.slice(0, last)), callback);
  };
  fs[`${name}Sync`] = (...args) => doNow(operation(...args));
  Object.defineProperty(fs[name], 'name', { value: name });
  Object.defineProperty(fs[`${name}Sync`], 'name', { value: `${name}Sync` });
}

// `close` alone may go without one: an error is then thrown.
fs.close = function close(fd, callback = (error) => { if (error) throw error; }) {
  start(operations.close(fd), toCallback(callback));
};

fs.statSync = function statSync(path, options) {
  return statOrNothing(operations.stat(path), options);
};
fs.lstatSync = function lstatSync(path, options) {
  return statOrNothing(operations.lstat(path), options);
};

function statOrNothing(operation, options) {
  try {
    return doNow(operation);
  } catch (error) {
    if (options?.throwIfNoEntry === false && ['ENOENT', 'ENOTDIR'].includes(error.code)) {
      return undefined;
    }
    throw error;
  }
}

fs.realpath.native = fs.realpath;
fs.realpathSync.native = fs.realpathSync;

fs.exists = function exists(path, callback) {
  toCallback(callback);
  try {
    start(operations.access(path), (error) => callback(!error));
  } catch {
    callback(false);
  }
};
Object.defineProperty(fs.exists, Symbol.for('nodejs.util.promisify.custom'), {
  value: (path) => new Promise((resolve) => fs.exists(path, resolve)),
});

fs.existsSync = function existsSync(path) {
  try {
    return native.access(toPath(path), constants.F_OK)[0] === 0;
  } catch {
    return false;
  }
};

// A missing file is found by the look that comes before the removal.
fs.rm = function rm(path, options, callback) {
  if (typeof options === 'function') {
    callback = options;
    options = undefined;
  }
  toCallback(callback);
  start(operations.rm(path, options), (error) => callback(explainRm(error, path)));
};
fs.rmSync = function rmSync(path, options) {
  try {
    doNow(operations.rm(path, options));
  } catch (error) {
    throw explainRm(error, path);
  }
};

function explainRm(error, path) {
  if (error?.code === 'ENOENT') return fileError(error.errno, 'lstat', path);
  if (error?.code !== 'EISDIR') return error;
  const told = codedError('ERR_FS_EISDIR',
    `Path is a directory: rm returned EISDIR (is a directory) ${path}`);
  told.name = 'SystemError';
  return Object.assign(told, { errno: 21, syscall: 'rm', path });
}

/** Bytes that were read, in the view that they were read for. */
function readInto(view, offset, bytes) {
  const target = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  target.set(new Uint8Array(bytes), offset);
  return bytes.byteLength;
}

/** The arguments of a read, which may be an object or in a row. */
function readArguments(buffer, offset, length, position) {
  if (buffer === undefined || buffer === null || !ArrayBuffer.isView(buffer)) {
    ({ buffer = Buffer.alloc(16384), offset, length, position } = buffer ?? {});
  } else if (offset !== null && typeof offset === 'object') {
    ({ offset, length, position } = offset);
  }
  [offset, length] = toRange(buffer, offset, length);
  return { buffer, offset, length, position: toPosition(position) };
}

fs.read = function read(fd, ...args) {
  const callback = toCallback(args.pop());
  const { buffer, offset, length, position } = readArguments(...args);
  native.read(toFd(fd), length, position, (errno, bytes) => {
    if (errno) callback(failure(errno, { syscall: 'read' }));
    else callback(null, readInto(buffer, offset, bytes), buffer);
  });
};
fs.readSync = function readSync(fd, ...args) {
  const { buffer, offset, length, position } = readArguments(...args);
  const [errno, bytes] = native.read(toFd(fd), length, position);
  if (errno) throw fileError(errno, 'read');
  return readInto(buffer, offset, bytes);
};

/** The arguments of a write: of bytes with a range, or of text with an encoding. */
function writeArguments(data, first, second, third) {
  if (typeof data === 'string') {
    const encoding = typeof second === 'string' ? second : 'utf8';
    return { bytes: Buffer.from(data, encoding), position: toPosition(first) };
  }
  const bytes = toBytes(data, 'utf8', 'buffer');
  if (first !== null && typeof first === 'object') {
    ({ offset: first, length: second, position: third } = first);
  }
  const [offset, length] = toRange(bytes, first, second, true);
  return { bytes: bytes.subarray(offset, offset + length), position: toPosition(third) };
}

fs.write = function write(fd, data, ...args) {
  const callback = toCallback(args.pop());
  const { bytes, position } = writeArguments(data, ...args);
  native.write(toFd(fd), bytes, position, (errno, count) => {
    if (errno) callback(failure(errno, { syscall: 'write' }));
    else callback(null, count, data);
  });
};
fs.writeSync = function writeSync(fd, data, ...args) {
  const { bytes, position } = writeArguments(data, ...args);
  const [errno, count] = native.write(toFd(fd), bytes, position);
  if (errno) throw fileError(errno, 'write');
  return count;
};

for (const [name, result] of [['read', 'bytesRead'], ['write', 'bytesWritten']]) {
  Object.defineProperty(fs[name], Symbol.for('nodejs.util.promisify.custom'), {
    value: (...args) => new Promise((resolve, reject) => {
      fs[name](...args, (error, count, buffer) => {
        if (error) reject(error);
        else resolve({ [result]: count, buffer });
      });
    }),
  });
}

// What one read of a file of unknown size asks for, and the most that one of known size does.
const unknownChunk = 64 * 1024;
const knownChunk = 512 * 1024;

fs.readFile = function readFile(path, options, callback) {
  callback = toCallback(callback ?? options);
  options = toOptions(options, { flag: 'r' });
  const isOpen = typeof path === 'number';
  let fd = path;
  let size = 0;
  let length = 0;
  const chunks = [];
  const close = (error) => {
    const done = (closeError) => {
      const failed = error ?? closeError;
      if (failed) callback(failed);
      else callback(null, decode(Buffer.concat(chunks), options.encoding));
    };
    if (isOpen) process.nextTick(done);
    else fs.close(fd, done);
  };
  const read = () => {
    const wanted = size === 0 ? unknownChunk : Math.min(knownChunk, size - length);
    native.read(fd, wanted, -1, (errno, bytes) => {
      if (errno) {
        close(failure(errno, { syscall: 'read' }));
        return;
      }
      length += bytes.byteLength;
      chunks.push(Buffer.from(bytes));
      if (bytes.byteLength === 0 || (size !== 0 && length === size)) close();
      else read();
    });
  };
  const afterOpen = (error, opened) => {
    if (error) {
      callback(error);
      return;
    }
    fd = opened;
    fs.fstat(fd, (failed, stats) => {
      if (failed) {
        close(failed);
        return;
      }
      size = stats.isFile() ? stats.size : 0;
      read();
    });
  };
  if (isOpen) process.nextTick(afterOpen, null, toFd(path));
  else start(operations.open(path, options.flag, 0o666), afterOpen);
};

fs.readFileSync = function readFileSync(path, options) {
  options = toOptions(options, { flag: 'r' });
  const isOpen = typeof path === 'number';
  const fd = isOpen ? toFd(path) : fs.openSync(path, options.flag, 0o666);
  try {
    const chunks = [];
    for (;;) {
      const [errno, bytes] = native.read(fd, knownChunk, -1);
      if (errno) throw fileError(errno, 'read');
      if (bytes.byteLength === 0) break;
      chunks.push(Buffer.from(bytes));
    }
    return decode(Buffer.concat(chunks), options.encoding);
  } finally {
    if (!isOpen) fs.closeSync(fd);
  }
};

fs.writeFile = function writeFile(path, data, options, callback) {
  callback = toCallback(callback ?? options);
  options = toOptions(options, { encoding: 'utf8', mode: 0o666, flag: 'w' });
  const bytes = toBytes(data, options.encoding);
  const isOpen = typeof path === 'number';
  const writeAll = (fd, offset) => {
    const close = (error) => {
      if (isOpen) callback(error ?? null);
      else fs.close(fd, (closeError) => callback(error ?? closeError ?? null));
    };
    const rest = bytes.subarray(offset);
    native.write(fd, rest, -1, (errno, count) => {
      if (errno) close(failure(errno, { syscall: 'write' }));
      else if (count === rest.length) close();
      else writeAll(fd, offset + count);
    });
  };
  if (isOpen) {
    writeAll(toFd(path), 0);
    return;
  }
  start(operations.open(path, options.flag, options.mode), (error, fd) => {
    if (error) callback(error);
    else writeAll(fd, 0);
  });
};

fs.writeFileSync = function writeFileSync(path, data, options) {
  options = toOptions(options, { encoding: 'utf8', mode: 0o666, flag: 'w' });
  const bytes = toBytes(data, options.encoding);
  const isOpen = typeof path === 'number';
  const fd = isOpen ? toFd(path) : fs.openSync(path, options.flag, options.mode);
  try {
    for (let offset = 0; offset < bytes.length;) {
      offset += fs.writeSync(fd, bytes, offset);
    }
  } finally {
    if (!isOpen) fs.closeSync(fd);
  }
};

fs.appendFile = function appendFile(path, data, options, callback) {
  callback = toCallback(callback ?? options);
  options = toOptions(options, { encoding: 'utf8', mode: 0o666, flag: 'a' });
  fs.writeFile(path, data, options, callback);
};
fs.appendFileSync = function appendFileSync(path, data, options) {
  fs.writeFileSync(path, data, toOptions(options, { encoding: 'utf8', mode: 0o666, flag: 'a' }));
};

fs.truncate = function truncate(path, length, callback) {
  if (typeof length === 'function') {
    callback = length;
    length = 0;
  }
  toCallback(callback);
  fs.open(path, 'r+', (error, fd) => {
    if (error) {
      callback(error);
      return;
    }
    fs.ftruncate(fd, length, (failed) => {
      fs.close(fd, (closeError) => callback(failed ?? closeError ?? null));
    });
  });
};
fs.truncateSync = function truncateSync(path, length = 0) {
  const fd = fs.openSync(path, 'r+');
  try {
    fs.ftruncateSync(fd, length);
  } finally {
    fs.closeSync(fd);
  }
};

for (const name of ['watchFile', 'unwatchFile']) {
  fs[name] = (...args) => require('internal/fs/watch_file')[name](...args);
  Object.defineProperty(fs[name], 'name', { value: name });
}

fs.createReadStream = (path, options) => new fs.ReadStream(path, options);
fs.createWriteStream = (path, options) => new fs.WriteStream(path, options);
for (const name of ['ReadStream', 'WriteStream']) {
  Object.defineProperty(fs, name, {
    configurable: true, enumerable: true, get: () => require('internal/fs/streams')[name],
  });
}
Object.defineProperty(fs, 'promises', {
  configurable: true, enumerable: true, get: () => require('fs/promises'),
});

Object.assign(fs, { Dirent, Stats, constants });
for (const name of ['F_OK', 'R_OK', 'W_OK', 'X_OK']) fs[name] = constants[name];

module.exports = fs;
