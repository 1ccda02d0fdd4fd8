'use strict';
// With which code and which error a worker ends, by what it does on its way.
const { Worker, isMainThread, workerData } = require('worker_threads');

const cases = {
  set() { process.exitCode = 42; },
  exit() {
    process.exitCode = 99;
    process.on('exit', (code) => { if (code !== 42) process.exit(1); });
    process.exit(42);
  },
  changed() { process.on('exit', () => { process.exitCode = 97; }); },
  thrown() { throw new Error('thrown'); },
  thrownAndChanged() {
    process.on('exit', (code) => { process.exitCode = code + 50; });
    throw new Error('thrown, and a handler changes the code');
  },
  thrownAndZero() {
    process.on('exit', () => { process.exitCode = 0; });
    throw new Error('thrown, and a handler makes it none');
  },
  handled() {
    process.on('uncaughtException', () => { process.exitCode = 96; });
    throw new Error('handled');
  },
  handlerThrows() {
    process.on('uncaughtException', () => { throw new Error('by the handler'); });
    process.on('exit', () => { process.exitCode = 1000; });
    throw new Error('thrown');
  },
  stackThrows() {
    Error.prepareStackTrace = () => { throw new Error('no stack'); };
    throw new RangeError('without a stack');
  },
  stackIsOwn() {
    Error.prepareStackTrace = () => 'its own stack';
    throw new RangeError('with a stack');
  },
};

if (isMainThread) {
  (async () => {
    for (const name of Object.keys(cases)) {
      const worker = new Worker(__filename, { workerData: name });
      let told = '';
      worker.on('error', (error) => {
        const stack = name.startsWith('stack') ? ` ${error.stack}` : '';
        told = ` ${error.name} ${error.message}${stack}`;
      });
      const code = await new Promise((resolve) => worker.on('exit', resolve));
      console.log(`${name}: ${code}${told}`);
    }
  })();
} else {
  cases[workerData]();
}
