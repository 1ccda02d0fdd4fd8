'use strict';

// What the callback, promise and sync forms of `fs` have in common: constants, checks of
// arguments, and what the native part's numbers mean.

const { codedError, invalidArgType, invalidArgValue, outOfRange } =
  require('internal/io_errors');
const { validateFunction, validateInteger } = require('internal/validators');
const { Buffer } = require('buffer');
const { URL } = require('internal/url');

const constants = {
  F_OK: 0, R_OK: 4, W_OK: 2, X_OK: 1,
  O_RDONLY: 0, O_WRONLY: 1, O_RDWR: 2, O_CREAT: 64, O_EXCL: 128, O_TRUNC: 512, O_APPEND: 1024,
  O_SYNC: 1052672, O_DSYNC: 4096, O_DIRECTORY: 65536, O_NOFOLLOW: 131072,
  S_IFMT: 61440, S_IFREG: 32768, S_IFDIR: 16384, S_IFCHR: 8192, S_IFBLK: 24576, S_IFIFO: 4096,
  S_IFLNK: 40960, S_IFSOCK: 49152,
  S_IRWXU: 448, S_IRUSR: 256, S_IWUSR: 128, S_IXUSR: 64, S_IRWXG: 56, S_IRGRP: 32, S_IWGRP: 16,
  S_IXGRP: 8, S_IRWXO: 7, S_IROTH: 4, S_IWOTH: 2, S_IXOTH: 1,
  COPYFILE_EXCL: 1, COPYFILE_FICLONE: 2, COPYFILE_FICLONE_FORCE: 4,
  UV_FS_COPYFILE_EXCL: 1,
  UV_DIRENT_UNKNOWN: 0, UV_DIRENT_FILE: 1, UV_DIRENT_DIR: 2, UV_DIRENT_LINK: 3,
  UV_DIRENT_FIFO: 4, UV_DIRENT_SOCKET: 5, UV_DIRENT_CHAR: 6, UV_DIRENT_BLOCK: 7,
};

const { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_SYNC, O_TRUNC, O_WRONLY } = constants;
const flagNames = {
  'r': O_RDONLY, 'rs': O_RDONLY | O_SYNC, 'sr': O_RDONLY | O_SYNC,
  'r+': O_RDWR, 'rs+': O_RDWR | O_SYNC, 'sr+': O_RDWR | O_SYNC,
  'w': O_TRUNC | O_CREAT | O_WRONLY, 'wx': O_TRUNC | O_CREAT | O_WRONLY | O_EXCL,
  'xw': O_TRUNC | O_CREAT | O_WRONLY | O_EXCL,
  'w+': O_TRUNC | O_CREAT | O_RDWR, 'wx+': O_TRUNC | O_CREAT | O_RDWR | O_EXCL,
  'xw+': O_TRUNC | O_CREAT | O_RDWR | O_EXCL,
  'a': O_APPEND | O_CREAT | O_WRONLY, 'ax': O_APPEND | O_CREAT | O_WRONLY | O_EXCL,
  'xa': O_APPEND | O_CREAT | O_WRONLY | O_EXCL, 'as': O_APPEND | O_CREAT | O_WRONLY | O_SYNC,
  'sa': O_APPEND | O_CREAT | O_WRONLY | O_SYNC,
  'a+': O_APPEND | O_CREAT | O_RDWR, 'ax+': O_APPEND | O_CREAT | O_RDWR | O_EXCL,
  'xa+': O_APPEND | O_CREAT | O_RDWR | O_EXCL, 'as+': O_APPEND | O_CREAT | O_RDWR | O_SYNC,
  'sa+': O_APPEND | O_CREAT | O_RDWR | O_SYNC,
};

function toFlags(flags, missing = 'r') {
  if (flags === undefined || flags === null) flags = missing;
  if (typeof flags === 'number') {
    validateInteger(flags, 'flags', -2147483648, 2147483647);
    return flags;
  }
  if (!Object.hasOwn(flagNames, flags)) throw invalidArgValue('flags', flags);
  return flagNames[flags];
}

function toMode(mode, missing, name = 'mode') {
  if (mode === undefined || mode === null) return missing;
  if (typeof mode === 'string') {
    if (!/^[0-7]+$/.test(mode)) {
      throw invalidArgValue(name, mode, 'must be a 32-bit unsigned integer or an octal string');
    }
    return Number.parseInt(mode, 8);
  }
  validateInteger(mode, name, 0, 4294967295);
  return mode;
}

/** The text of a path, of which Node takes three kinds. */
function toPath(path, name = 'path') {
  if (path instanceof URL) {
    if (path.protocol !== 'file:') {
      throw codedError('ERR_INVALID_URL_SCHEME', 'The URL must be of scheme file', TypeError);
    }
    path = decodeURIComponent(path.pathname);
  } else if (path instanceof Uint8Array) {
    path = Buffer.from(path).toString();
  } else if (typeof path !== 'string') {
    throw invalidArgType(name, 'of type string or an instance of Buffer or URL', path);
  }
  if (path.includes('\0')) {
    throw invalidArgValue(name, path, 'must be a string, Uint8Array, or URL without null bytes');
  }
  return path;
}

function toFd(fd) {
  if (typeof fd !== 'number') throw invalidArgType('fd', 'of type number', fd);
  validateInteger(fd, 'fd', 0, 2147483647);
  return fd;
}

/** Options that may be just the encoding. */
function toOptions(options, defaults) {
  if (options === undefined || options === null || typeof options === 'function') return defaults;
  if (typeof options === 'string') options = { encoding: options };
  else if (typeof options !== 'object') {
    throw invalidArgType('options', 'one of type string or object', options);
  }
  const { encoding } = options;
  if (encoding !== undefined && encoding !== null && encoding !== 'buffer' &&
      !Buffer.isEncoding(encoding)) {
    throw invalidArgValue('encoding', encoding, 'is invalid encoding');
  }
  return { ...defaults, ...options };
}

function toCallback(callback) {
  validateFunction(callback, 'cb');
  return callback;
}

/** The bytes of what is to be written. */
function toBytes(data, encoding, name = 'data') {
  if (typeof data === 'string') return Buffer.from(data, encoding ?? 'utf8');
  if (data instanceof Uint8Array) return data;
  if (ArrayBuffer.isView(data)) {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  throw invalidArgType(
    name, 'of type string or an instance of Buffer, TypedArray, or DataView', data);
}

/** Where in a view to read to or write from: `[offset, length]`. */
function toRange(view, offset, length, isWrite) {
  offset ??= 0;
  validateInteger(offset, 'offset', 0);
  length ??= view.byteLength - offset;
  validateInteger(length, 'length', 0);
  if (isWrite && offset > view.byteLength) {
    throw outOfRange('offset', `<= ${view.byteLength}`, offset);
  }
  if (length > view.byteLength - offset) {
    throw outOfRange('length', `<= ${view.byteLength - offset}`, length);
  }
  return [offset, length];
}

/** A position as the native part has it: -1 is where the file stands. */
function toPosition(position) {
  if (position === undefined || position === null) return -1;
  if (typeof position === 'bigint') position = Number(position);
  if (typeof position !== 'number') {
    throw invalidArgType('position', 'one of type number or bigint', position);
  }
  validateInteger(position, 'position', -1);
  return position;
}

class Stats {
  constructor(fields) {
    [this.dev, this.mode, this.nlink, this.uid, this.gid, this.rdev, this.blksize, this.ino,
      this.size, this.blocks, this.atimeMs, this.mtimeMs, this.ctimeMs, this.birthtimeMs] = fields;
    this.atime = new Date(this.atimeMs + 0.5);
    this.mtime = new Date(this.mtimeMs + 0.5);
    this.ctime = new Date(this.ctimeMs + 0.5);
    this.birthtime = new Date(this.birthtimeMs + 0.5);
  }

  #is(kind) {
    return (this.mode & constants.S_IFMT) === kind;
  }

  isDirectory() { return this.#is(constants.S_IFDIR); }
  isFile() { return this.#is(constants.S_IFREG); }
  isBlockDevice() { return this.#is(constants.S_IFBLK); }
  isCharacterDevice() { return this.#is(constants.S_IFCHR); }
  isSymbolicLink() { return this.#is(constants.S_IFLNK); }
  isFIFO() { return this.#is(constants.S_IFIFO); }
  isSocket() { return this.#is(constants.S_IFSOCK); }
}

const kind = Symbol('type');

class Dirent {
  constructor(name, path, number) {
    this.name = name;
    this.parentPath = path;
    this.path = path;
    this[kind] = number;
  }

  isDirectory() { return this[kind] === constants.UV_DIRENT_DIR; }
  isFile() { return this[kind] === constants.UV_DIRENT_FILE; }
  isBlockDevice() { return this[kind] === constants.UV_DIRENT_BLOCK; }
  isCharacterDevice() { return this[kind] === constants.UV_DIRENT_CHAR; }
  isSymbolicLink() { return this[kind] === constants.UV_DIRENT_LINK; }
  isFIFO() { return this[kind] === constants.UV_DIRENT_FIFO; }
  isSocket() { return this[kind] === constants.UV_DIRENT_SOCKET; }
}

/** What `readdir` gives, of the native part's names and kinds. */
function toEntries([names, kinds], path, options) {
  if (options.withFileTypes) return names.map((name, at) => new Dirent(name, path, kinds[at]));
  return options.encoding === 'buffer' ? names.map((name) => Buffer.from(name)) : names;
}

function decode(bytes, encoding) {
  return encoding && encoding !== 'buffer' ? bytes.toString(encoding) : bytes;
}

module.exports = {
  Dirent, Stats, constants, decode, toBytes, toCallback, toEntries, toFd, toFlags, toMode,
  toOptions, toPath, toPosition, toRange,
};
