// CommonJS: files of scripts, of JSON, folders with an index, and node_modules.
'use strict';

const native = internalBinding('module');
const { isProxy } = internalBinding('util');
const { codes } = require('internal/errors');
const { moduleFunctions, placeOfMaking } = require('internal/stack');
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

// The function of a file. Of what is wrong with a script it is told in V8's words, where they can be known.
function compile(content, filename) {
  try {
    return native.compile(content, filename);
  } catch (error) {
    const place = placeOfMaking(error);
    if (error instanceof SyntaxError && place?.file === filename) explain(error, place, content);
    throw error;
  }
}

function explain(error, place, content) {
  const lines = content.split('\n');
  const line = lines[place.line - 1] ?? '';
  const keyword = /^\s*(import|export)\b(?!\s*[(.])/.exec(line)?.[1];
  if (keyword !== undefined) {
    // A module of ECMAScript is none of ours, and says so in the words that Node had for it.
    error.message = keyword === 'import' ?
      'Cannot use import statement outside a module' : "Unexpected token 'export'";
    return;
  }
  const before = [...lines.slice(0, place.line - 1), line.slice(0, place.column - 1)].join('\n').trimEnd();
  // What stands before a bracket closes all that it opens.
  if (before.endsWith('}') && compiles(before.slice(0, -1))) {
    moveTo(place, before.slice(0, -1));
    error.message = "Unexpected token '}'";
    return;
  }
  const behind = line.slice(place.column - 1).trimStart();
  if (place.line > lines.length) {
    // The end of the function in which the engine has the file.
    moveTo(place, content);
    const isEnd = AT_END.test(error.message) && !(/^Missing catch/.test(error.message) && compiles(`${content}\ncatch {}`));
    if (isEnd) error.message = 'Unexpected end of input';
  } else if (error.message === groupOf(behind)) {
    place.column = line.length - behind.length + 1;
    error.message = `Invalid regular expression: ${LITERAL.exec(behind)[0]}: Unterminated group`;
  } else if (/^expecting /.test(error.message)) {
    error.message = unexpected(behind);
  }
  // The engine has one text for both.
  if (/ in postfix operation$/.test(error.message) && !/(\+\+|--)$/.test(before) && !/^(\+\+|--)/.test(behind)) {
    error.message = error.message.replace('postfix', 'prefix');
  }
  // V8 shows the end of what is wrong, and the engine what follows it.
  if (/ in prefix operation$|^Missing catch/.test(error.message)) moveTo(place, before.slice(0, -1));
}

// What the engine says where something else is wanted than the end. All else that it says there is of what comes before.
const AT_END = new RegExp("^(Unexpected token '[})]'$|Unexpected end|expecting |invalid property name$|missing formal |" +
  '(identifier|variable name) expected|line terminator not allowed after throw|Missing catch or finally)');

// A regular expression at the beginning of a text.
const LITERAL = /^\/(?:\\.|\[(?:\\.|[^\]\\])*\]|[^/\\[])+\//;

// What the engine says of the regular expression with which a text begins if it lacks the end of a group.
function groupOf(text) {
  const literal = LITERAL.exec(text)?.[0];
  if (literal === undefined) return undefined;
  try {
    new RegExp(literal.slice(1, -1));
  } catch ({ message }) {
    return message === "expecting ')'" ? message : undefined;
  }
  return undefined;
}

function compiles(content) {
  try {
    native.compile(content, '');
    return true;
  } catch {
    return false;
  }
}

// The place behind a text.
function moveTo(place, text) {
  const lines = text.split('\n');
  place.line = lines.length;
  place.column = lines.at(-1).length + 1;
}

// What V8 says of the word with which a text begins.
function unexpected(text) {
  if (/^["']/.test(text)) return 'Unexpected string';
  if (/^\d/.test(text)) return 'Unexpected number';
  if (text.startsWith('`')) return 'Unexpected template string';
  const word = /^[\p{ID_Start}$_][\p{ID_Continue}$]*/u.exec(text)?.[0];
  if (word === undefined) return `Unexpected token '${/^(=>|[=!]==?|&&|\|\||\?\?|\.{3}|.)/u.exec(text)?.[0] ?? ''}'`;
  return KEYWORDS.has(word) ? `Unexpected token '${word}'` : `Unexpected identifier '${word}'`;
}

const KEYWORDS = new Set(('break case catch class const continue debugger default delete do else extends false finally ' +
  'for function if import in instanceof new null return super switch this throw true try typeof var void while ' +
  'with').split(' '));

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
      error.message = `${filename}: ${error.message}`;
      throw error;
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

function asFolder(path, request) {
  if (native.kindOf(path) !== FOLDER) return undefined;
  if (native.kindOf(`${path}/package.json`) === FILE) {
    const { main } = readPackage(`${path}/package.json`);
    if (typeof main === 'string') {
      const target = native.absolute(main, path);
      const found = asFile(target) ?? asFile(`${target}/index`) ?? asFile(`${path}/index`);
      if (found !== undefined) return found;
      const error = new Error(`Cannot find module '${target}'. ` +
        'Please verify that the package.json has a valid "main" entry');
      throw Object.assign(error, { code: 'MODULE_NOT_FOUND', path: `${path}/package.json`, requestPath: request });
    }
  }
  return asFile(`${path}/index`);
}

function readPackage(path) {
  try {
    return JSON.parse(native.readFile(path));
  } catch (error) {
    error.message = `Error parsing ${path}: ${error.message}`;
    error.path = path;
    throw error;
  }
}

function find(path, request) {
  return (path.endsWith('/') ? undefined : asFile(path)) ?? asFolder(path, request);
}

Module._resolveFilename = function resolveFilename(request, parent, isMain, options) {
  if (isBuiltin(request)) return request;
  if (request.startsWith('node:')) throw new codes.ERR_UNKNOWN_BUILTIN_MODULE(request);
  const from = parent?.filename ? dirname(parent.filename) : process.cwd();
  let found;
  if (/^(\.{1,2}(\/|$)|\/)/.test(request)) {
    for (const start of options?.paths ?? [from]) {
      const path = native.absolute(request, start);
      found ??= find(request.endsWith('/') ? `${path}/` : path, request);
    }
  } else {
    const starts = options?.paths ?? [from];
    for (const folder of starts.flatMap((start) => Module._nodeModulePaths(start))) {
      found ??= find(`${folder}/${request}`, request);
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

const isObject = (value) => typeof value === 'object' && value !== null && !isProxy(value);

// The prototype of what a module exports that another one has required before it was through.
const absent = new Proxy({}, {
  get(target, key) {
    if (key in target || key === '__esModule') return target[key];
    warnOf(key);
    return undefined;
  },
  getOwnPropertyDescriptor(target, key) {
    if (Object.hasOwn(target, key) || key === '__esModule') return Object.getOwnPropertyDescriptor(target, key);
    warnOf(key);
    return undefined;
  },
});

function warnOf(key) {
  process.emitWarning(
    `Accessing non-existent property '${String(key)}' of module exports inside circular dependency`);
}

function warnOfAbsent(exports) {
  if (isObject(exports) && Object.getPrototypeOf(exports) === Object.prototype && !exports.__esModule) {
    Object.setPrototypeOf(exports, absent);
  }
}

Module._load = function load(request, parent, isMain = false) {
  if (isBuiltin(request)) return requireBuiltin(plainName(request));
  const filename = Module._resolveFilename(request, parent, isMain);
  const known = Module._cache[filename];
  if (known !== undefined) {
    if (parent && !parent.children.includes(known)) parent.children.push(known);
    if (!known.loaded) warnOfAbsent(known.exports);
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
    const { exports } = module;
    if (isObject(exports) && Object.getPrototypeOf(exports) === absent) Object.setPrototypeOf(exports, Object.prototype);
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
