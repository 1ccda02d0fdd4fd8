// CommonJS: files of scripts, of JSON, folders with an index, and node_modules.
'use strict';

const native = internalBinding('module');
const { codes } = require('internal/errors');
const { moduleFunctions, positionOfError } = require('internal/stack');
const { validateString } = require('internal/validators');
const requireBuiltin = require;

const FILE = 0;
const FOLDER = 1;

function dirname(path) {
  const end = path.lastIndexOf('/');
  return end <= 0 ? '/' : path.slice(0, end);
}

class Module {
  constructor(id = '', parent = undefined) {
    this.id = id;
    this.path = dirname(id);
    this.exports = {};
    this.filename = null;
    this.loaded = false;
    this.children = [];
    this.paths = [];
    Object.defineProperty(this, 'parent', { value: parent, enumerable: false, configurable: true });
    parent?.children.push(this);
  }

  load(filename) {
    this.filename = filename;
    this.paths = Module._nodeModulePaths(dirname(filename));
    const dot = filename.lastIndexOf('.');
    const extension = dot > filename.lastIndexOf('/') ? filename.slice(dot) : '.js';
    (Module._extensions[extension] ?? Module._extensions['.js'])(this, filename);
    this.loaded = true;
  }

  require(id) {
    validateString(id, 'id');
    if (id === '') throw new codes.ERR_INVALID_ARG_VALUE('id', id, 'must be a non-empty string');
    return Module._load(id, this);
  }

  _compile(content, filename) {
    const run = compile(content, filename);
    moduleFunctions.add(run);
    const require = makeRequire(this);
    return run.call(this.exports, this.exports, require, this, filename, dirname(filename));
  }
}

// A module of ECMAScript is none of ours, and says so in the words that Node had for it.
function compile(content, filename) {
  try {
    return native.compile(content, filename);
  } catch (error) {
    const line = content.split('\n')[positionOfError(error)?.line - 1] ?? '';
    const keyword = /^\s*(import|export)\b(?!\s*[(.])/.exec(line)?.[1];
    if (error instanceof SyntaxError && keyword !== undefined) {
      const words = keyword === 'import' ?
        'Cannot use import statement outside a module' : "Unexpected token 'export'";
      error.stack = error.stack.replace(error.message, () => words);
      error.message = words;
    }
    throw error;
  }
}

function makeRequire(module) {
  const require = function require(id) { return module.require(id); };
  require.resolve = function resolve(request, options) {
    validateString(request, 'request');
    return Module._resolveFilename(request, module, false, options);
  };
  require.resolve.paths = (request) => (isBuiltin(request) ? null : Module._nodeModulePaths(module.path));
  require.main = process.mainModule;
  require.extensions = Module._extensions;
  require.cache = Module._cache;
  return require;
}

const plainName = (id) => (id.startsWith('node:') ? id.slice(5) : id);
const isBuiltin = (id) => requireBuiltin.publicIds.includes(plainName(id));

Module.Module = Module;
Module.builtinModules = [...requireBuiltin.publicIds];
Module.isBuiltin = isBuiltin;
Module._cache = Object.create(null);
Module.globalPaths = [];
Module._absolute = (path) => native.absolute(path, process.cwd());

Module._extensions = {
  '__proto__': null,
  '.js'(module, filename) {
    module._compile(native.readFile(filename), filename);
  },
  '.json'(module, filename) {
    const text = native.readFile(filename);
    try {
      module.exports = JSON.parse(text.replace(/^\uFEFF/, ''));
    } catch (error) {
      throw new SyntaxError(`${filename}: ${error.message}`);
    }
  },
};

Module._nodeModulePaths = function nodeModulePaths(from) {
  const paths = [];
  for (let folder = from; ; folder = dirname(folder)) {
    if (!folder.endsWith('/node_modules')) paths.push(folder === '/' ? '/node_modules' : `${folder}/node_modules`);
    if (folder === '/') return paths;
  }
};

function asFile(path) {
  if (native.kindOf(path) === FILE) return native.realpath(path);
  for (const extension of Object.keys(Module._extensions)) {
    if (native.kindOf(path + extension) === FILE) return native.realpath(path + extension);
  }
  return undefined;
}

function asFolder(path) {
  if (native.kindOf(path) !== FOLDER) return undefined;
  if (native.kindOf(`${path}/package.json`) === FILE) {
    const { main } = JSON.parse(native.readFile(`${path}/package.json`));
    if (typeof main === 'string') {
      const target = native.absolute(main, path);
      const found = asFile(target) ?? asFile(`${target}/index`);
      if (found !== undefined) return found;
    }
  }
  return asFile(`${path}/index`);
}

function find(path) {
  return (path.endsWith('/') ? undefined : asFile(path)) ?? asFolder(path);
}

Module._resolveFilename = function resolveFilename(request, parent, isMain, options) {
  if (isBuiltin(request)) return request;
  if (request.startsWith('node:')) throw new codes.ERR_UNKNOWN_BUILTIN_MODULE(request);
  const from = parent?.filename ? dirname(parent.filename) : process.cwd();
  let found;
  if (/^(\.{1,2}(\/|$)|\/)/.test(request)) {
    for (const start of options?.paths ?? [from]) {
      const path = native.absolute(request, start);
      found ??= find(request.endsWith('/') ? `${path}/` : path);
    }
  } else {
    const starts = options?.paths ?? [from];
    for (const folder of starts.flatMap((start) => Module._nodeModulePaths(start))) {
      found ??= find(`${folder}/${request}`);
    }
  }
  if (found !== undefined) return found;
  const requireStack = [];
  for (let module = parent; module; module = module.parent) {
    requireStack.push(module.filename ?? module.id);
  }
  let message = `Cannot find module '${request}'`;
  if (requireStack.length > 0) message += `\nRequire stack:\n- ${requireStack.join('\n- ')}`;
  const error = new Error(message);
  error.code = 'MODULE_NOT_FOUND';
  error.requireStack = requireStack;
  throw error;
};

Module._load = function load(request, parent, isMain = false) {
  if (isBuiltin(request)) return requireBuiltin(plainName(request));
  const filename = Module._resolveFilename(request, parent, isMain);
  const known = Module._cache[filename];
  if (known !== undefined) {
    if (parent && !parent.children.includes(known)) parent.children.push(known);
    return known.exports;
  }
  const module = new Module(filename, parent);
  if (isMain) {
    process.mainModule = module;
    module.id = '.';
  }
  Module._cache[filename] = module;
  let isLoaded = false;
  try {
    module.load(filename);
    isLoaded = true;
  } finally {
    // What has thrown is run again by the next that requires it.
    if (!isLoaded) delete Module._cache[filename];
  }
  return module.exports;
};

Module.runMain = function runMain(path = process.argv[1]) {
  Module._load(path, null, true);
};

Module.createRequire = function createRequire(filename) {
  const path = String(filename).replace(/^file:\/\//, '');
  const module = new Module(path);
  module.filename = path;
  return makeRequire(module);
};

module.exports = Module;
