// Runs the script of a worker. Called by the native part, once everything is ready.
'use strict';

const native = internalBinding('worker');
const { codes } = require('internal/errors');
const { adopt } = require('internal/messaging');
const { setReporter } = require('internal/fatal');
const { setAllEnvironmentData } = require('internal/worker');
const { writeError } = require('internal/worker_errors');
const { moduleFunctions } = require('internal/stack');
const { compile } = internalBinding('module');
const { ReadableStdio, WritableStdio } = require('internal/worker_stdio');

// What belongs to the whole process, and is the main thread's to change.
const UNSUPPORTED = [
  'abort', 'chdir', 'initgroups', 'setegid', 'seteuid', 'setgid', 'setgroups', 'setuid',
];

function setUpProcess(said, streams) {
  process.env = said.env;
  for (const name of UNSUPPORTED) {
    process[name] = () => { throw new codes.ERR_WORKER_UNSUPPORTED_OPERATION(`process.${name}()`); };
    process[name].disabled = true;
  }
  const port = adopt(streams);
  const stdin = new ReadableStdio(() => port.ref());
  if (!said.hasStdin) stdin.push(null);
  port.on('message', ([, chunk]) => {
    if (chunk === null) port.unref();
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
  setReporter((error) => native.fail(textOf(error), writeError(error)));
  setUpProcess(said, streams);
  setAllEnvironmentData(said.environmentData);
  require('worker_threads')._begin(adopt(parentPort), said);
  const Module = require('module');
  const script = said.path ?? '[worker eval]';
  process.argv = [process.execPath, script, ...said.argv];
  if (said.path !== undefined) {
    Module.runMain();
    return;
  }
  const module = new Module(script);
  module.filename = `${process.cwd()}/${script}`;
  module.paths = Module._nodeModulePaths(process.cwd());
  const run = compile(said.source, script);
  moduleFunctions.add(run);
  const scriptRequire = Module.createRequire(module.filename);
  run.call(globalThis, module.exports, scriptRequire, module, script, '.');
};

function textOf(error) {
  try {
    return `${error}`;
  } catch {
    return 'an error without a text';
  }
}
