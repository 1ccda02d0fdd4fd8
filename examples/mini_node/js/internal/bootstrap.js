// Gives the global object what Node's has. Run once for each engine, before anything of a program.
'use strict';

require('internal/stack').install();
require('internal/json').install();
require('internal/virtual_time').install();
const { has } = require;

function define(name, value, enumerable = false) {
  Object.defineProperty(globalThis, name, {
    value, enumerable, configurable: true, writable: true,
  });
}

// A global that is made when it is first asked for.
function defineLazily(name, id, pick, enumerable = false) {
  if (!has(id)) return;
  Object.defineProperty(globalThis, name, {
    enumerable,
    configurable: true,
    get() {
      const value = pick(require(id));
      define(name, value, enumerable);
      return value;
    },
    set(value) { define(name, value, enumerable); },
  });
}

define('global', globalThis, true);
Object.defineProperty(globalThis, Symbol.toStringTag, { value: 'global', configurable: true });
define('process', require('process'));
require('internal/promises');
require('internal/promise_any').install();
require('internal/atomics').install();
require('internal/threads').install();

const timers = require('timers');
for (const name of ['clearImmediate', 'setImmediate', 'clearInterval', 'clearTimeout', 'setInterval', 'setTimeout']) {
  define(name, timers[name], true);
}

define('queueMicrotask', require('internal/microtask'), true);

define('console', require('console'));
if (internalBinding('options').exposesGc) define('gc', () => { internalBinding('util').gc(); });

const same = (name) => (exports) => exports[name];
defineLazily('performance', 'perf_hooks', same('performance'), true);
for (const name of ['Event', 'EventTarget', 'CustomEvent']) {
  defineLazily(name, 'internal/event_target', same(name));
}
for (const name of ['AbortController', 'AbortSignal']) {
  defineLazily(name, 'internal/abort_controller', same(name));
}
defineLazily('DOMException', 'internal/dom_exception', same('DOMException'));
defineLazily('Buffer', 'buffer', same('Buffer'));
for (const name of ['atob', 'btoa']) defineLazily(name, 'buffer', same(name), true);
for (const name of ['TextEncoder', 'TextDecoder']) defineLazily(name, 'internal/encoding', same(name));
for (const name of ['URL', 'URLSearchParams']) defineLazily(name, 'internal/url', same(name));
for (const name of ['MessageChannel', 'MessagePort', 'BroadcastChannel', 'MessageEvent']) {
  defineLazily(name, 'internal/messaging', same(name));
}
defineLazily('structuredClone', 'internal/messaging', same('structuredClone'), true);
