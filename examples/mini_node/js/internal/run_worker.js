// Runs the script of a worker. Called by the native part, once everything is ready.
'use strict';

const native = internalBinding('worker');
const { codes } = require('internal/errors');
const { adopt } = require('internal/messaging');
const { setReporter } = require('internal/fatal');
const { setAllEnvironmentData } = require('internal/worker');
const { writeError } = require('internal/worker_errors');
const cwd = require('internal/cwd');
const environment = require('internal/environment');
const { WORKER_EVAL } = require('internal/stack');
const { runScript } = internalBinding('module');
const { trackDescriptors } = internalBinding('fs');
const { ReadableStdio, WritableStdio } = require('internal/worker_stdio');

// What belongs to the whole process, and is the main thread's to change.
const UNSUPPORTED = [
  'abort', 'chdir', 'initgroups', 'setegid', 'seteuid', 'setgid', 'setgroups', 'setuid',
];

function unsupported(name) {
  const refuse = () => { throw new codes.ERR_WORKER_UNSUPPORTED_OPERATION(name); };
  refuse.disabled = true;
  return refuse;
}

function setUpProcess(said, port) {
  process.env = environment(Object.entries(said.env));
  for (const name of UNSUPPORTED) process[name] = unsupported(`process.${name}()`);
  // A channel to a parent process is the main thread's.
  if (process.env.NODE_CHANNEL_FD) {
    for (const name of ['send', 'disconnect']) process[name] = unsupported(`process.${name}()`);
    for (const name of ['channel', 'connected']) {
      Object.defineProperty(process, name, { configurable: true, get: unsupported(`process.${name}`) });
    }
  }
  for (const name of ['title', 'debugPort']) {
    const value = process[name];
    Object.defineProperty(process, name, {
      configurable: true, enumerable: true, get: () => value, set() {},
    });
  }
  const { umask } = process;
  process.umask = function(mask) {
    if (mask !== undefined) throw new codes.ERR_WORKER_UNSUPPORTED_OPERATION('Setting process.umask()');
    return umask();
  };
  cwd.counter = said.cwdCounter;
  process.cwd = cwd.cached(process.cwd);
  if (said.tracksDescriptors) trackDescriptors();
  let isOver = !said.hasStdin;
  // Who reads waits for as long as something may come.
  const stdin = new ReadableStdio(() => { if (!isOver) port.ref(); });
  if (isOver) stdin.push(null);
  port.on('message', ([, chunk]) => {
    if (chunk === null) {
      isOver = true;
      port.unref();
    }
    stdin.push(chunk);
  });
  port.unref();
  const standard = {
    stdin,
    stdout: new WritableStdio(port, 1),
    stderr: new WritableStdio(port, 2),
  };
  for (const name of Object.keys(standard)) {
    Object.defineProperty(process, name, {
      configurable: true, enumerable: true, writable: true, value: standard[name],
    });
  }
}

module.exports = function runWorker() {
  const [said, parentPort, streams] = native.boot();
  const port = adopt(streams);
  setReporter((error, code, isOfJob) => {
    if (!isOfJob) return native.fail(textOf(error), writeError(error), code);
    // What is left of the drain may be long, or never end: the parent is told at once, as on Node.
    port.postMessage(['error', writeError(error)]);
    return native.exitBehindDrain(code);
  });
  setUpProcess(said, port);
  setAllEnvironmentData(said.environmentData);
  require('worker_threads')._begin(adopt(parentPort), said);
  const Module = require('module');
  const script = said.path ?? WORKER_EVAL;
  process.argv = [process.execPath, script, ...said.argv];
  if (said.path !== undefined) {
    Module.runMain();
    return;
  }
  // A script that comes as text is no module: it has what modules have as globals.
  const module = new Module(script);
  module.filename = `${process.cwd()}/${script}`;
  module.paths = Module._nodeModulePaths(process.cwd());
  Object.assign(globalThis, {
    module, exports: module.exports, require: Module.createRequire(module.filename),
    __filename: script, __dirname: '.',
  });
  runScript(said.source, script);
};

function textOf(error) {
  try {
    return `${error}`;
  } catch {
    return 'an error without a text';
  }
}
