'use strict';

// URLs of the kinds that programs here use: those with a host (http, https, ws, ftp), and file.
// Others are kept as they are behind their colon. Names of hosts are taken as ASCII.

const { codedError, invalidArgType } = require('internal/io_errors');
const { isIP } = internalBinding('dns');

const ports = { 'http:': '80', 'https:': '443', 'ws:': '80', 'wss:': '443', 'ftp:': '21' };
const isSpecial = (protocol) => protocol in ports || protocol === 'file:';

/** Bytes that do not stand for themselves become %XX. */
function encode(text, plain) {
  const { Buffer } = require('buffer');
  return text.replace(/[^]/gu, (character) => {
    if (plain.test(character)) return character;
    return Array.from(Buffer.from(character), (byte) =>
      `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
  });
}

const inPath = /[!$%&'()*+,\-./0-9:;=@A-Z[\\\]^_a-z|~]/;
const inQuery = /[!$%&()*+,\-./0-9:;=?@A-Z[\\\]^_`a-z{|}~]/;
const inHash = /[!#$%&'()*+,\-./0-9:;=?@A-Z[\\\]^_a-z{|}~]/;
const inUser = /[!$%&'()*+,\-.0-9A-Z_a-z~]/;
const inForm = /[*\-.0-9A-Z_a-z]/;

/** A path without '.' and '..'. */
function simplify(path) {
  const parts = [];
  const all = path.split('/').slice(1);
  all.forEach((part, at) => {
    const isLast = at === all.length - 1;
    const plain = part.replace(/%2e/gi, '.');
    if (plain === '..') {
      parts.pop();
      if (isLast) parts.push('');
    } else if (plain === '.') {
      if (isLast) parts.push('');
    } else {
      parts.push(part);
    }
  });
  return `/${parts.join('/')}`;
}

/** The host in its one form, or null for none. */
function toHost(text) {
  if (text.startsWith('[')) {
    return text.endsWith(']') && isIP(text.slice(1, -1)) === 6 ? text.toLowerCase() : null;
  }
  let host;
  try {
    host = decodeURIComponent(text).toLowerCase();
  } catch {
    return null;
  }
  return host === '' || /[\0-\x20#/<>?@[\\\]^|%\x7f]/.test(host) ? null : host;
}

/** The parts of a URL, or null. */
function parse(input, base) {
  input = input.replace(/^[\0-\x20]+|[\0-\x20]+$/g, '').replace(/[\t\n\r]/g, '');
  const parts = { protocol: '', username: '', password: '', host: '', port: '', path: '',
                  query: '', hash: '' };
  const hashAt = input.indexOf('#');
  if (hashAt !== -1) {
    parts.hash = `#${encode(input.slice(hashAt + 1), inHash)}`;
    input = input.slice(0, hashAt);
  }
  const scheme = /^([a-zA-Z][a-zA-Z0-9+\-.]*):/.exec(input);
  if (!scheme) return base ? relative(input, base, parts) : null;
  parts.protocol = `${scheme[1].toLowerCase()}:`;
  let rest = input.slice(scheme[0].length);
  const queryAt = rest.indexOf('?');
  if (queryAt !== -1) {
    parts.query = `?${encode(rest.slice(queryAt + 1), inQuery)}`;
    rest = rest.slice(0, queryAt);
  }
  if (!isSpecial(parts.protocol)) {
    if (!rest.startsWith('//')) {
      parts.path = rest;
      return parts;
    }
  } else {
    rest = rest.replaceAll('\\', '/');
    if (parts.protocol !== 'file:') rest = `//${rest.replace(/^\/*/, '')}`;
  }
  if (rest.startsWith('//')) {
    const end = rest.indexOf('/', 2);
    const path = end === -1 ? '' : rest.slice(end);
    if (!authority(rest.slice(2, end === -1 ? undefined : end), parts)) return null;
    parts.path = path === '' ? (isSpecial(parts.protocol) ? '/' : '') :
      simplify(encode(path, inPath));
  } else {
    parts.path = simplify(encode(rest.startsWith('/') ? rest : `/${rest}`, inPath));
  }
  return parts;
}

/** Takes user, host and port apart. */
function authority(text, parts) {
  const at = text.lastIndexOf('@');
  if (at !== -1) {
    const [user, ...password] = text.slice(0, at).split(':');
    parts.username = encode(user, inUser);
    parts.password = encode(password.join(':'), inUser);
  }
  const [, host, port] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(text.slice(at + 1)) ?? [];
  if (host === undefined || !/^\d*$/.test(port ?? '') || +port > 65535) return false;
  if (parts.protocol === 'file:') {
    parts.host = host === 'localhost' ? '' : host.toLowerCase();
    return true;
  }
  const known = toHost(host);
  if (known === null) return false;
  parts.host = known;
  parts.port = port === undefined || port === '' || String(+port) === ports[parts.protocol] ?
    '' : String(+port);
  return true;
}

function relative(input, base, parts) {
  const query = input.indexOf('?');
  const hasQuery = query !== -1;
  let path = hasQuery ? input.slice(0, query) : input;
  if (isSpecial(base.protocol)) path = path.replaceAll('\\', '/');
  else if (!base.path.startsWith('/')) return null;
  if (path.startsWith('//')) return parse(`${base.protocol}${input}${parts.hash}`);
  const { protocol, username, password, host, port } = base;
  Object.assign(parts, { protocol, username, password, host, port });
  if (hasQuery) parts.query = `?${encode(input.slice(query + 1), inQuery)}`;
  else if (path === '') parts.query = base.query;
  if (path === '') parts.path = base.path;
  else if (path.startsWith('/')) parts.path = simplify(encode(path, inPath));
  else {
    const folder = base.path.slice(0, base.path.lastIndexOf('/') + 1);
    parts.path = simplify(folder + encode(path, inPath));
  }
  return parts;
}

class URL {
  #parts;
  #params;

  constructor(input, base) {
    if (arguments.length === 0) {
      throw codedError('ERR_MISSING_ARGS', 'The "url" argument must be specified', TypeError);
    }
    const under = base === undefined ? undefined : parse(String(base));
    this.#parts = under === null ? null : parse(String(input), under);
    if (this.#parts === null) {
      const error = codedError('ERR_INVALID_URL', 'Invalid URL', TypeError);
      error.input = String(input);
      if (base !== undefined) error.base = String(base);
      throw error;
    }
  }

  static canParse(input, base) {
    try {
      return !!new URL(input, base);
    } catch {
      return false;
    }
  }

  get href() {
    const { protocol, username, password, path, query, hash } = this.#parts;
    const user = username || password ? `${username}${password ? `:${password}` : ''}@` : '';
    const slashes = isSpecial(protocol) || this.#parts.host ? '//' : '';
    return `${protocol}${slashes}${user}${this.host}${path}${query}${hash}`;
  }
  get origin() {
    return this.protocol in ports ? `${this.protocol}//${this.host}` : 'null';
  }
  get protocol() { return this.#parts.protocol; }
  get username() { return this.#parts.username; }
  get password() { return this.#parts.password; }
  get host() {
    const { host, port } = this.#parts;
    return port ? `${host}:${port}` : host;
  }
  get hostname() { return this.#parts.host; }
  get port() { return this.#parts.port; }
  get pathname() { return this.#parts.path; }
  get search() { return this.#parts.query === '?' ? '' : this.#parts.query; }
  get hash() { return this.#parts.hash === '#' ? '' : this.#parts.hash; }
  get searchParams() {
    if (!this.#params) {
      this.#params = new URLSearchParams(this.search);
      this.#params[changed] = (text) => {
        this.#parts.query = text ? `?${text}` : '';
      };
    }
    return this.#params;
  }

  set pathname(path) {
    path = encode(String(path), inPath);
    this.#parts.path = simplify(path.startsWith('/') ? path : `/${path}`);
  }
  set search(query) {
    query = String(query).replace(/^\?/, '');
    this.#parts.query = query === '' ? '' : `?${encode(query, inQuery)}`;
    this.#params = undefined;
  }
  set hash(hash) {
    hash = String(hash).replace(/^#/, '');
    this.#parts.hash = hash === '' ? '' : `#${encode(hash, inHash)}`;
  }
  set port(port) {
    port = String(port);
    if (/^\d*$/.test(port) && +port <= 65535) {
      this.#parts.port = port === '' || port === ports[this.protocol] ? '' : String(+port);
    }
  }
  set hostname(host) {
    const known = toHost(String(host));
    if (known !== null) this.#parts.host = known;
  }
  set host(host) { authority(String(host), this.#parts); }
  set username(user) { this.#parts.username = encode(String(user), inUser); }
  set password(password) { this.#parts.password = encode(String(password), inUser); }
  set protocol(protocol) {
    protocol = `${String(protocol).replace(/:.*$/, '')}:`;
    if (isSpecial(protocol) === isSpecial(this.protocol)) this.#parts.protocol = protocol;
  }
  set href(href) {
    const parts = parse(String(href));
    if (parts === null) throw codedError('ERR_INVALID_URL', 'Invalid URL', TypeError);
    this.#parts = parts;
    this.#params = undefined;
  }

  toString() { return this.href; }
  toJSON() { return this.href; }

  [Symbol.for('nodejs.util.inspect.custom')](depth, options, inspect) {
    const shown = {};
    for (const name of ['href', 'origin', 'protocol', 'username', 'password', 'host', 'hostname',
                        'port', 'pathname', 'search', 'searchParams', 'hash']) {
      shown[name] = this[name];
    }
    return `URL ${(inspect ?? require('internal/inspect').inspect)(shown, options)}`;
  }
}

const changed = Symbol('tells the URL of a change');

function decodeForm(text) {
  const { Buffer } = require('buffer');
  const plain = Buffer.from(text.replaceAll('+', ' '));
  const bytes = [];
  for (let at = 0; at < plain.length; at++) {
    const digits = plain.toString('latin1', at + 1, at + 3);
    if (plain[at] === 0x25 && /^[0-9a-fA-F]{2}$/.test(digits)) {
      bytes.push(Number.parseInt(digits, 16));
      at += 2;
    } else {
      bytes.push(plain[at]);
    }
  }
  return Buffer.from(bytes).toString();
}

class URLSearchParams {
  #list = [];

  constructor(init) {
    if (init === undefined || init === null) return;
    if (typeof init === 'object' && typeof init[Symbol.iterator] === 'function') {
      for (const pair of init) {
        if (typeof pair !== 'object' || pair === null || [...pair].length !== 2) {
          throw codedError('ERR_INVALID_TUPLE',
            'Each query pair must be an iterable [name, value] tuple', TypeError);
        }
        const [name, value] = pair;
        this.#list.push([String(name), String(value)]);
      }
    } else if (typeof init === 'object') {
      for (const name of Object.keys(init)) this.#list.push([name, String(init[name])]);
    } else {
      for (const pair of String(init).replace(/^\?/, '').split('&')) {
        if (pair === '') continue;
        const at = pair.indexOf('=');
        const [name, value] = at === -1 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
        this.#list.push([decodeForm(name), decodeForm(value)]);
      }
    }
  }

  #tell() { this[changed]?.(this.toString()); }

  get size() { return this.#list.length; }
  append(name, value) {
    this.#list.push([String(name), String(value)]);
    this.#tell();
  }
  delete(name) {
    this.#list = this.#list.filter(([one]) => one !== String(name));
    this.#tell();
  }
  get(name) { return this.#list.find(([one]) => one === String(name))?.[1] ?? null; }
  getAll(name) {
    return this.#list.filter(([one]) => one === String(name)).map(([, value]) => value);
  }
  has(name) { return this.#list.some(([one]) => one === String(name)); }
  set(name, value) {
    const first = this.#list.findIndex(([one]) => one === String(name));
    if (first === -1) {
      this.append(name, value);
      return;
    }
    this.#list[first][1] = String(value);
    this.#list = this.#list.filter(([one], at) => at <= first || one !== String(name));
    this.#tell();
  }
  sort() {
    this.#list.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    this.#tell();
  }
  forEach(callback, receiver) {
    if (typeof callback !== 'function') {
      throw invalidArgType('callback', 'of type function', callback);
    }
    for (const [name, value] of this.#list) callback.call(receiver, value, name, this);
  }
  * entries() { for (const [name, value] of this.#list) yield [name, value]; }
  * keys() { for (const [name] of this.#list) yield name; }
  * values() { for (const [, value] of this.#list) yield value; }
  [Symbol.iterator]() { return this.entries(); }
  toString() {
    const form = (text) => encode(text, inForm).replaceAll('%20', '+');
    return this.#list.map(([name, value]) => `${form(name)}=${form(value)}`).join('&');
  }
  [Symbol.for('nodejs.util.inspect.custom')](depth, options, inspect) {
    const show = inspect ?? require('internal/inspect').inspect;
    const pairs = this.#list.map((pair) => pair.map((part) => show(part, options)).join(' => '));
    return `URLSearchParams {${pairs.length ? ` ${pairs.join(', ')} ` : ''}}`;
  }
}
for (const Class of [URL, URLSearchParams]) {
  Object.defineProperty(Class.prototype, Symbol.toStringTag, {
    configurable: true, value: Class.name,
  });
}

module.exports = { URL, URLSearchParams };
