'use strict';

// Paths as POSIX has them: text, without asking the system but for the current directory.

const { invalidArgType } = require('internal/io_errors');
const { validateString } = require('internal/validators');

/** Parts without '.', and without '..' but at the front of a relative path. */
function simplify(path, isAbsolute) {
  const parts = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else if (part !== '..' || !isAbsolute) parts.push(part);
  }
  return parts.join('/');
}

const posix = {
  sep: '/',
  delimiter: ':',

  resolve(...paths) {
    let resolved = '';
    for (let at = paths.length - 1; at >= -1 && !resolved.startsWith('/'); at--) {
      const path = at >= 0 ? paths[at] : process.cwd();
      validateString(path, `paths[${at}]`);
      if (path !== '') resolved = resolved === '' ? path : `${path}/${resolved}`;
    }
    const isAbsolute = resolved.startsWith('/');
    const simple = simplify(resolved, isAbsolute);
    return isAbsolute ? `/${simple}` : simple || '.';
  },

  normalize(path) {
    validateString(path, 'path');
    if (path === '') return '.';
    const isAbsolute = path.startsWith('/');
    const simple = simplify(path, isAbsolute);
    if (simple === '') return isAbsolute ? '/' : path.endsWith('/') ? './' : '.';
    return `${isAbsolute ? '/' : ''}${simple}${path.endsWith('/') ? '/' : ''}`;
  },

  isAbsolute(path) {
    validateString(path, 'path');
    return path.startsWith('/');
  },

  join(...paths) {
    for (const path of paths) validateString(path, 'path');
    const joined = paths.filter((path) => path !== '').join('/');
    return joined === '' ? '.' : posix.normalize(joined);
  },

  relative(from, to) {
    validateString(from, 'from');
    validateString(to, 'to');
    const source = posix.resolve(from).split('/').filter(Boolean);
    const target = posix.resolve(to).split('/').filter(Boolean);
    let same = 0;
    while (same < source.length && same < target.length && source[same] === target[same]) same++;
    return [...source.slice(same).fill('..'), ...target.slice(same)].join('/');
  },

  toNamespacedPath: (path) => path,

  dirname(path) {
    validateString(path, 'path');
    if (path === '') return '.';
    const bare = path.replace(/\/+$/, '');
    if (bare === '') return '/';
    const cut = bare.lastIndexOf('/');
    if (cut === -1) return '.';
    if (cut === 0) return '/';
    // Two slashes at the front alone are kept, as POSIX leaves it open what they mean.
    const dir = bare.slice(0, cut);
    return dir === '/' ? '//' : dir;
  },

  basename(path, suffix) {
    if (suffix !== undefined) validateString(suffix, 'suffix');
    validateString(path, 'path');
    if (suffix === path) return '';
    const bare = path.replace(/\/+$/, '');
    const base = bare.slice(bare.lastIndexOf('/') + 1);
    const isCut = suffix && base !== suffix && base.endsWith(suffix);
    return isCut ? base.slice(0, -suffix.length) : base;
  },

  extname(path) {
    validateString(path, 'path');
    const base = posix.basename(path);
    const dot = base.lastIndexOf('.');
    return dot <= 0 || base === '..' ? '' : base.slice(dot);
  },

  parse(path) {
    validateString(path, 'path');
    const root = path.startsWith('/') ? '/' : '';
    const base = posix.basename(path);
    const ext = posix.extname(path);
    const bare = path.replace(/\/+$/, '');
    const cut = bare.lastIndexOf('/');
    const dir = bare === '' ? root : cut === -1 ? '' : cut === 0 ? '/' : bare.slice(0, cut);
    return { root, dir, base, ext, name: ext ? base.slice(0, -ext.length) : base };
  },

  format(parts) {
    if (parts === null || typeof parts !== 'object') {
      throw invalidArgType('pathObject', 'of type object', parts);
    }
    const dir = parts.dir || parts.root;
    const ext = parts.ext ? `${parts.ext.startsWith('.') ? '' : '.'}${parts.ext}` : '';
    const base = parts.base || `${parts.name || ''}${ext}`;
    if (!dir) return base;
    return dir === parts.root ? `${dir}${base}` : `${dir}/${base}`;
  },
};

posix.posix = posix;
module.exports = posix;
