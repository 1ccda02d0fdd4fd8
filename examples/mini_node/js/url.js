'use strict';

const { URL, URLSearchParams } = require('internal/url');
const { codedError, invalidArgType } = require('internal/io_errors');

function fileURLToPath(url) {
  if (typeof url === 'string') url = new URL(url);
  else if (!(url instanceof URL)) {
    throw invalidArgType('path', 'of type string or an instance of URL', url);
  }
  if (url.protocol !== 'file:') {
    throw codedError('ERR_INVALID_URL_SCHEME', 'The URL must be of scheme file', TypeError);
  }
  return decodeURIComponent(url.pathname);
}

function pathToFileURL(path) {
  const absolute = require('path').resolve(path);
  const isFolder = path.endsWith('/') && absolute !== '/';
  const text = `${absolute}${isFolder ? '/' : ''}`.replaceAll('%', '%25').replaceAll('?', '%3F')
    .replaceAll('#', '%23').replaceAll('\\', '%5C');
  return new URL(`file://${text}`);
}

function urlToHttpOptions(url) {
  const options = {
    __proto__: null, protocol: url.protocol, hostname: url.hostname, hash: url.hash,
    search: url.search, pathname: url.pathname, path: `${url.pathname}${url.search}`,
    href: url.href,
  };
  if (url.port !== '') options.port = Number(url.port);
  if (url.username || url.password) options.auth = `${url.username}:${url.password}`;
  return options;
}

module.exports = { URL, URLSearchParams, fileURLToPath, pathToFileURL, urlToHttpOptions };
