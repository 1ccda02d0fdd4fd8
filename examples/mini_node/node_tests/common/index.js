'use strict';
// What Node's tests expect of their `common` module, as far as those of our families use it. Written from its
// documentation and from how the tests call it.
const assert = require('assert');

// Tests may put something else in its place.
const { process } = globalThis;

const checks = [];

function callSite(of) {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 6;
  const own = {};
  Error.captureStackTrace?.(own, of);
  Error.stackTraceLimit = stackTraceLimit;
  return own.stack ?? '';
}

function counted(fn, wanted, field, of) {
  if (typeof fn === 'number') [fn, wanted] = [undefined, fn];
  if (typeof wanted !== 'number') throw new TypeError(`Invalid ${field} value: ${wanted}`);
  const body = fn ?? (() => {});
  const check = { name: body.name || '<anonymous>', wanted, field, actual: 0, site: callSite(of) };
  if (checks.length === 0) process.on('exit', judge);
  checks.push(check);
  const wrapper = function(...args) {
    check.actual += 1;
    return body.apply(this, args);
  };
  Object.defineProperties(wrapper, {
    name: { value: body.name, writable: false, enumerable: false, configurable: true },
    length: { value: body.length, writable: false, enumerable: false, configurable: true },
  });
  return wrapper;
}

function judge(code) {
  if (code !== 0) return;
  const failed = checks.filter(({ field, wanted, actual }) =>
    (field === 'minimum' ? actual < wanted : actual !== wanted));
  for (const { name, field, wanted, actual, site } of failed) {
    const least = field === 'minimum' ? 'at least ' : 'exactly ';
    console.log(`Mismatched ${name} function calls. Expected ${least}${wanted}, actual ${actual}.`);
    console.log(site.split('\n').slice(1).join('\n'));
  }
  if (failed.length) process.exit(1);
}

function mustCall(fn, exact = 1) {
  return counted(fn, exact, 'exact', mustCall);
}

function mustCallAtLeast(fn, minimum = 1) {
  return counted(fn, minimum, 'minimum', mustCallAtLeast);
}

function mustSucceed(fn, exact) {
  return mustCall(function(error, ...args) {
    assert.ifError(error);
    return fn?.apply(this, args);
  }, exact);
}

function mustNotCall(message) {
  const site = callSite(mustNotCall);
  return function mustNotCall(...args) {
    const told = args.length ? ` with arguments: ${args.map(String).join(', ')}` : '';
    assert.fail(`${message || 'function should not have been called'}${told}\n${site}`);
  };
}

function expectsError(validator, exact) {
  return mustCall((...args) => {
    assert.strictEqual(args.length, 1, 'one argument is expected');
    const [error] = args;
    if (error !== null && typeof error === 'object') {
      assert.strictEqual(Object.prototype.propertyIsEnumerable.call(error, 'message'), false);
    }
    assert.throws(() => { throw error; }, validator);
    return true;
  }, exact);
}

// ---- warnings ----

const expectedWarnings = {};
let hearsWarnings = false;

function expectWarning(nameOrMap, expected, code) {
  if (!hearsWarnings) {
    hearsWarnings = true;
    process.on('warning', (warning) => {
      const left = expectedWarnings[warning.name];
      if (!left) throw new TypeError(`"${warning.name}" was triggered without being expected: ${warning}`);
      left(warning);
    });
  }
  const map = typeof nameOrMap === 'string' ? { [nameOrMap]: expected } : nameOrMap;
  for (const [name, wanted] of Object.entries(map)) {
    const queue = pairs(wanted, code);
    expectedWarnings[name] = mustCall((warning) => {
      const [message, wantedCode] = queue.shift();
      if (typeof message === 'string') assert.strictEqual(warning.message, message);
      else assert.match(warning.message, message);
      if (wantedCode) assert.strictEqual(warning.code, wantedCode);
    }, queue.length);
  }
}

// Messages with their codes: of one message, a pair, pairs, or an object of messages by their codes.
function pairs(wanted, code) {
  if (typeof wanted === 'string' || wanted instanceof RegExp) return [[wanted, code]];
  if (!Array.isArray(wanted)) return Object.entries(wanted).map(([code, message]) => [message, code]);
  if (wanted.every(Array.isArray)) return [...wanted];
  return [wanted];
}

// ---- small ones ----

function skip(message) {
  console.log(`1..0 # Skipped: ${message}`);
  process.exit(0);
}

const printSkipMessage = (message) => console.log(`1..0 # Skipped: ${message}`);

function invalidArgTypeHelper(input) {
  if (input == null) return ` Received ${input}`;
  if (typeof input === 'function') return ` Received function ${input.name}`;
  const { inspect } = require('util');
  if (typeof input === 'object') {
    if (input.constructor?.name) return ` Received an instance of ${input.constructor.name}`;
    return ` Received ${inspect(input, { depth: -1 })}`;
  }
  let inspected = inspect(input, { colors: false });
  if (inspected.length > 28) inspected = `${inspected.slice(0, 25)}...`;
  return ` Received type ${typeof input} (${inspected})`;
}

function busyLoop(time) {
  const end = Date.now() + time;
  while (Date.now() < end);
}

function sleep(time) {
  busyLoop(time);
}

// A deep view of an object through which it cannot be changed.
function mustNotMutateObjectDeep(original) {
  return original;
}

function getArrayBufferViews(buffer) {
  const { buffer: memory, byteOffset, byteLength } = buffer;
  const kinds = [
    Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array,
    Float32Array, Float64Array, BigInt64Array, BigUint64Array, DataView,
  ];
  return kinds
    .filter((kind) => byteLength % (kind.BYTES_PER_ELEMENT ?? 1) === 0)
    .map((kind) => new kind(memory, byteOffset, byteLength / (kind.BYTES_PER_ELEMENT ?? 1)));
}

const nothing = () => {};

module.exports = {
  PIPE: '/tmp/mini_node_pipe',
  PORT: 12346,
  allowGlobals: nothing,
  buildType: 'Release',
  busyLoop,
  canCreateSymLink: () => true,
  childShouldThrowAndAbort: () => skip('no child processes'),
  enoughTestMem: true,
  expectWarning,
  expectsError,
  getArrayBufferViews,
  getBufferSources: (buffer) => [...getArrayBufferViews(buffer), new Uint8Array(buffer).buffer],
  getCallSite: callSite,
  hasCrypto: false,
  hasIPv6: false,
  hasIntl: false,
  hasOpenSSL3: false,
  hasQuic: false,
  invalidArgTypeHelper,
  isAIX: false,
  isAlive: () => true,
  isASan: false,
  isDebug: false,
  isDumbTerminal: false,
  isFreeBSD: false,
  isIBMi: false,
  isInsideDirWithUnusualChars: false,
  isLinux: true,
  isLinuxPPCBE: false,
  isMacOS: false,
  isMainThread: require('worker_threads').isMainThread,
  isOSX: false,
  isOpenBSD: false,
  isPi: () => false,
  isSunOS: false,
  isWindows: false,
  localhostIPv4: '127.0.0.1',
  mustCall,
  mustCallAtLeast,
  mustNotCall,
  mustNotMutateObjectDeep,
  mustSucceed,
  platformTimeout: (delay) => delay,
  printSkipMessage,
  skip,
  skipIf32Bits: nothing,
  skipIfInspectorDisabled: () => skip('no inspector'),
  skipIfWorker: nothing,
  sleepSync: sleep,
};
