'use strict';
// What of the process a worker may see, and what it may change.
const { Worker, isMainThread, parentPort } = require('worker_threads');
const path = require('path');

if (isMainThread) {
  process.env.NODE_CHANNEL_FD = 'as if there was a parent process';
  process.chdir(__dirname);
  const before = process.umask(0o022);
  console.log(typeof before, process.umask(), process.umask('027').toString(8), process.umask());
  process.umask(before);
  const worker = new Worker(__filename);
  worker.on('message', (lines) => {
    if (lines === 'moved?') {
      process.chdir('..');
      worker.postMessage('moved');
    } else {
      for (const line of lines) console.log(line);
    }
  });
  worker.on('exit', (code) => console.log('exit', code));
} else {
  const lines = [];
  const attempt = (name, f) => {
    try {
      lines.push(`${name} ${f()}`);
    } catch (error) {
      lines.push(`${name} ${error.constructor.name} ${error.code} ${error.message}`);
    }
  };
  for (const name of ['title', 'debugPort']) {
    const before = process[name];
    process[name] += 1;
    lines.push(`${name} ${process[name] === before}`);
  }
  process.env.NUMBER = 5;
  lines.push(`environment ${typeof process.env.NUMBER}`);
  attempt('environment', () => { process.env.SYMBOL = Symbol('s'); });
  attempt('environment', () => Object.defineProperty(process.env, 'VALUE', { value: 1 }));
  attempt('environment', () => Object.defineProperty(process.env, 'VALUE', { get: () => 1 }));
  const plain = { configurable: true, enumerable: true, writable: true };
  attempt('environment', () => typeof Object.defineProperty(process.env, 'VALUE', { value: 1, ...plain }).VALUE);
  attempt('umask', () => typeof process.umask());
  attempt('umask', () => process.umask(0));
  for (const name of ['abort', 'chdir', 'send', 'disconnect', 'setuid', 'setgid', 'setgroups']) {
    lines.push(`${name} ${process[name].disabled}`);
    attempt(name, () => process[name]());
  }
  for (const name of ['channel', 'connected']) attempt(name, () => process[name]);
  process.once('uncaughtException', (error) => lines.push(`uncaught ${error.message}`));
  lines.push(`handled ${process._fatalException(new Error('given'))}`);
  // Nothing will ever come, and so nothing holds the worker.
  process.stdin.on('data', () => {});
  lines.push(path.basename(process.cwd()));
  parentPort.postMessage('moved?');
  parentPort.once('message', (message) => {
    lines.push(`${message} ${path.basename(process.cwd())}`);
    parentPort.postMessage(lines);
  });
}
