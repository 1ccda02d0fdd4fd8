'use strict';

// Paths, URLs, queries.

const path = require('path');
const url = require('url');
const querystring = require('querystring');

for (const one of [
  '',
  '/',
  '//',
  '.',
  '..',
  'a',
  'a/',
  '/a',
  '/a/b.c',
  'a/../b',
  './a//b/',
  '../..',
  '.b',
  'a.b.c',
  'a.',
  '/a/.b',
  '//a',
  '///a/b',
]) {
  console.log(
    JSON.stringify(one),
    path.normalize(one),
    path.dirname(one),
    path.basename(one),
    path.extname(one),
    path.isAbsolute(one),
    path.parse(one),
  );
}
console.log(
  path.join('a', '', '../b', '/c'),
  path.join(),
  path.resolve('/a', 'b', '../c', './d/'),
  path.resolve('/'),
);
console.log(
  path.relative('/a/b/c', '/a/d'),
  path.relative('/a', '/a'),
  path.relative('/a', '/a/b/c'),
  path.relative('/', '/x'),
);
console.log(
  path.basename('a/b.js', '.js'),
  path.basename('.js', '.js'),
  path.format({ dir: '/d', name: 'n', ext: 'e' }),
  path.sep,
  path.posix === path,
);

for (const [input, base] of [
  ['http://example.com'],
  ['HTTP://User:Pass@EXAMPLE.com:80/a/./b/../c?x=1&y=ü#frag ment'],
  ['https://[::1]:8443/'],
  ['../x?q', 'http://h/a/b/c'],
  ['?q', 'http://h/a/b?c#d'],
  ['#f', 'http://h/a?b'],
  ['//other/p', 'https://h/'],
  ['/abs', 'http://h/a/b'],
  ['file:///a/b%20c'],
  ['mailto:a@b'],
  ['http:\\\\a\\b'],
  ['  http://a/ '],
  ['http://'],
  ['nothing'],
  ['http://a b/'],
  ['http://a:99999/'],
  ['data:text/plain,hi'],
]) {
  try {
    const {
      href,
      origin,
      protocol,
      username,
      password,
      host,
      hostname,
      port,
      pathname,
      search,
      hash,
    } = new URL(input, base);
    console.log({
      href,
      origin,
      protocol,
      username,
      password,
      host,
      hostname,
      port,
      pathname,
      search,
      hash,
    });
  } catch (error) {
    console.log(input, error.name, error.code, error.message, error.input);
  }
}
const changing = new URL('http://h/p?a=1&a=2&b=x%20y+z');
console.log(
  [...changing.searchParams],
  changing.searchParams.getAll('a'),
  changing.searchParams.get('none'),
);
changing.searchParams.append('c', 'ü &=');
changing.searchParams.delete('b');
changing.searchParams.set('a', '3');
changing.pathname = '/new path';
changing.hash = 'h';
changing.port = '81';
console.log(
  changing.href,
  String(changing.searchParams),
  JSON.stringify({ changing }),
  changing.searchParams.has('a'),
);
console.log(
  new URLSearchParams({ a: 1, b: '?' }).toString(),
  new URLSearchParams([['x', 'y']]).get('x'),
  URL.canParse('x:'),
  URL.canParse('x'),
);
console.log(url.fileURLToPath('file:///a/b%20c'), url.pathToFileURL('/a b/#c').href);
console.log(
  querystring.parse('a=1&b=2&a=3&c&d=%C3%BC+x&=e'),
  querystring.stringify({ a: [1, 'x y'], b: true, c: 'ü', d: null }),
);
