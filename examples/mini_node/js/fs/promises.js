'use strict';

// Files, with promises: the same calls of the system on the pool as in the callback form.

const native = internalBinding('fs');
const operations = require('internal/fs/operations');
const { Buffer } = require('buffer');
const EventEmitter = require('events');
const { codedError, fileError, withoutFrames } = require('internal/io_errors');
const {
  constants, decode, toBytes, toOptions, toPosition, toRange,
} = require('internal/fs/utils');

/** Starts an operation on the pool. */
function start(operation) {
  const { call: [act, ...args], syscall, path, dest, make } = operation;
  return new Promise((resolve, reject) => {
    act(...args, (errno, result) => {
      if (errno) reject(withoutFrames(fileError(errno, syscall, path, dest)));
      else resolve(make && result !== undefined ? make(result) : result);
    });
  });
}

const promises = {};
for (const [name, operation] of Object.entries(operations)) {
  // What is done to an open file is a method of its handle.
  if (['close', 'fdatasync', 'fstat', 'fsync', 'ftruncate', 'open'].includes(name)) continue;
  promises[name] = { async [name](...args) { return start(operation(...args)); } }[name];
}

class FileHandle extends EventEmitter {
  #fd;
  #closing;

  constructor(fd) {
    super();
    this.#fd = fd;
  }

  get fd() {
    return this.#fd;
  }

  /** The descriptor, for a call of this name. */
  #open(syscall) {
    if (this.#fd === -1) {
      const error = codedError('EBADF', 'file closed');
      throw Object.assign(error, { syscall });
    }
    return this.#fd;
  }

  appendFile(data, options) {
    return this.writeFile(data, options);
  }

  close() {
    if (this.#fd === -1) return Promise.resolve();
    if (!this.#closing) {
      const fd = this.#fd;
      this.#fd = -1;
      this.#closing = start(operations.close(fd)).finally(() => {
        this.#closing = undefined;
      });
      this.emit('close');
    }
    return this.#closing;
  }

  async datasync() {
    return start(operations.fdatasync(this.#open('fdatasync')));
  }

  async sync() {
    return start(operations.fsync(this.#open('fsync')));
  }

  async stat() {
    return start(operations.fstat(this.#open('fstat')));
  }

  async truncate(length = 0) {
    return start(operations.ftruncate(this.#open('ftruncate'), length));
  }

  async read(buffer, offset, length, position) {
    const fd = this.#open('read');
    if (buffer === undefined || buffer === null || !ArrayBuffer.isView(buffer)) {
      ({ buffer = Buffer.alloc(16384), offset, length, position } = buffer ?? {});
    } else if (offset !== null && typeof offset === 'object') {
      ({ offset, length, position } = offset);
    }
    [offset, length] = toRange(buffer, offset, length);
    const bytes = await start({
      call: [native.read, fd, length, toPosition(position)], syscall: 'read',
    });
    const target = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    target.set(new Uint8Array(bytes), offset);
    return { __proto__: null, bytesRead: bytes.byteLength, buffer };
  }

  async write(data, offset, length, position) {
    const fd = this.#open('write');
    let bytes;
    if (typeof data === 'string') {
      bytes = Buffer.from(data, typeof length === 'string' ? length : 'utf8');
      position = offset;
    } else {
      if (offset !== null && typeof offset === 'object') ({ offset, length, position } = offset);
      bytes = toBytes(data, 'utf8', 'buffer');
      [offset, length] = toRange(bytes, offset, length, true);
      bytes = bytes.subarray(offset, offset + length);
    }
    const call = [native.write, fd, bytes, toPosition(position)];
    return { __proto__: null, bytesWritten: await start({ call, syscall: 'write' }), buffer: data };
  }

  async readFile(options) {
    return readAll(this, toOptions(options, {}));
  }

  async writeFile(data, options) {
    options = toOptions(options, { encoding: 'utf8' });
    let bytes = toBytes(data, options.encoding);
    while (bytes.length > 0) {
      const { bytesWritten } = await this.write(bytes);
      bytes = bytes.subarray(bytesWritten);
    }
  }

  createReadStream(options) {
    const { ReadStream } = require('internal/fs/streams');
    return new ReadStream(undefined, { ...options, fd: this });
  }

  createWriteStream(options) {
    const { WriteStream } = require('internal/fs/streams');
    return new WriteStream(undefined, { ...options, fd: this });
  }

  [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    return this.close();
  }
}

async function readAll(handle, options) {
  const stats = await handle.stat();
  const size = stats.isFile() ? stats.size : 0;
  const chunks = [];
  let length = 0;
  for (;;) {
    const wanted = size === 0 ? 65536 : Math.min(524288, size - length);
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(wanted), 0, wanted, -1);
    length += bytesRead;
    chunks.push(buffer.subarray(0, bytesRead));
    if (bytesRead === 0 || (size !== 0 && length === size)) break;
  }
  return decode(Buffer.concat(chunks), options.encoding);
}

promises.open = async function open(path, flags, mode) {
  return new FileHandle(await start(operations.open(path, flags, mode)));
};

/** Opens a file for one thing to be done with it. */
async function withFile(path, flags, mode, act) {
  const handle = await promises.open(path, flags, mode);
  try {
    return await act(handle);
  } finally {
    await handle.close();
  }
}

promises.readFile = async function readFile(path, options) {
  options = toOptions(options, { flag: 'r' });
  if (path instanceof FileHandle) return readAll(path, options);
  return withFile(path, options.flag, 0o666, (handle) => readAll(handle, options));
};

promises.writeFile = async function writeFile(path, data, options) {
  options = toOptions(options, { encoding: 'utf8', mode: 0o666, flag: 'w' });
  const bytes = toBytes(data, options.encoding);
  if (path instanceof FileHandle) return path.writeFile(bytes);
  return withFile(path, options.flag, options.mode, (handle) => handle.writeFile(bytes));
};

promises.appendFile = async function appendFile(path, data, options) {
  options = toOptions(options, { encoding: 'utf8', mode: 0o666, flag: 'a' });
  return promises.writeFile(path, data, options);
};

promises.truncate = async function truncate(path, length = 0) {
  return withFile(path, 'r+', 0o666, (handle) => handle.truncate(length));
};

promises.rm = async function rm(path, options) {
  try {
    await start(operations.rm(path, options));
  } catch (error) {
    // A missing file is found by the look that comes before the removal.
    throw error.code === 'ENOENT' ? fileError(error.errno, 'lstat', path) : error;
  }
};

promises.constants = constants;
module.exports = promises;
