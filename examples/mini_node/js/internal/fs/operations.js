'use strict';

// The operations that are one call of the system: for each the checks of its arguments, the native
// call, what its errors are about, and what its result becomes. The three forms are made of these.
//
// An operation takes the arguments of the call and returns `{ call, syscall, path, dest, make }`:
// `call` the native function and its arguments.

const native = internalBinding('fs');
const {
  Stats, constants, toEntries, toFd, toFlags, toMode, toOptions, toPath,
} = require('internal/fs/utils');
const { validateInteger } = require('internal/validators');

const stats = (fields) => new Stats(fields);

const onPath = (syscall, call) => (path) => {
  path = toPath(path);
  return { call: [native[call], path], syscall, path };
};

const onTwoPaths = (syscall, call, names = ['oldPath', 'newPath']) => (from, to) => {
  const path = toPath(from, names[0]);
  const dest = toPath(to, names[1]);
  return { call: [native[call], path, dest], syscall, path, dest };
};

function length(value, name = 'len') {
  if (value === undefined || value === null) return 0;
  validateInteger(value, name);
  return Math.max(0, value);
}

const seconds = (time) => typeof time === 'number' ? time : Number(new Date(time)) / 1000;

function toGivenMode(mode) {
  if (mode === undefined || mode === null) validateInteger(mode, 'mode');
  return toMode(mode);
}

module.exports = {
  access(path, mode = constants.F_OK) {
    path = toPath(path);
    validateInteger(mode, 'mode', 0, 7);
    return { call: [native.access, path, mode], syscall: 'access', path };
  },
  chmod(path, mode) {
    path = toPath(path);
    return { call: [native.chmod, path, toGivenMode(mode)], syscall: 'chmod', path };
  },
  close: (fd) => ({ call: [native.close, toFd(fd)], syscall: 'close' }),
  copyFile(from, to, mode = 0) {
    const path = toPath(from, 'src');
    const dest = toPath(to, 'dest');
    validateInteger(mode, 'mode', 0, 7);
    const exclusive = (mode & constants.COPYFILE_EXCL) !== 0;
    return { call: [native.copyFile, path, dest, exclusive], syscall: 'copyfile', path, dest };
  },
  fdatasync: (fd) => ({ call: [native.fsync, toFd(fd), true], syscall: 'fdatasync' }),
  fstat: (fd) => ({ call: [native.fstat, toFd(fd)], syscall: 'fstat', make: stats }),
  fsync: (fd) => ({ call: [native.fsync, toFd(fd), false], syscall: 'fsync' }),
  ftruncate: (fd, len) =>
    ({ call: [native.ftruncate, toFd(fd), length(len)], syscall: 'ftruncate' }),
  link: onTwoPaths('link', 'link', ['existingPath', 'newPath']),
  lstat: (path) => ({ ...onPath('lstat', 'lstat')(path), make: stats }),
  mkdir(path, options) {
    if (typeof options === 'number' || typeof options === 'string') options = { mode: options };
    path = toPath(path);
    const mode = toMode(options?.mode, 0o777);
    return { call: [native.mkdir, path, mode, !!options?.recursive], syscall: 'mkdir', path };
  },
  mkdtemp(prefix) {
    prefix = toPath(prefix, 'prefix');
    return { call: [native.mkdtemp, prefix], syscall: 'mkdtemp', path: `${prefix}XXXXXX` };
  },
  open(path, flags, mode) {
    path = toPath(path);
    const call = [native.open, path, toFlags(flags), toMode(mode, 0o666)];
    return { call, syscall: 'open', path };
  },
  readdir(path, options) {
    options = toOptions(options, { encoding: 'utf8' });
    path = toPath(path);
    const make = (entries) => toEntries(entries, path, options);
    return { call: [native.readdir, path], syscall: 'scandir', path, make };
  },
  readlink: onPath('readlink', 'readlink'),
  realpath: onPath('realpath', 'realpath'),
  rename: onTwoPaths('rename', 'rename'),
  rm(path, options) {
    path = toPath(path);
    const call = [native.rm, path, !!options?.recursive, !!options?.force];
    return { call, syscall: 'rm', path };
  },
  rmdir: onPath('rmdir', 'rmdir'),
  stat: (path) => ({ ...onPath('stat', 'stat')(path), make: stats }),
  symlink(target, path) {
    target = toPath(target, 'target');
    const dest = toPath(path);
    return { call: [native.symlink, target, dest], syscall: 'symlink', path: target, dest };
  },
  unlink: onPath('unlink', 'unlink'),
  utimes(path, accessed, modified) {
    path = toPath(path);
    return { call: [native.utimes, path, seconds(accessed), seconds(modified)],
             syscall: 'utime', path };
  },
};
