// The ways in which a worker ends, and what its parent hears.
const { Worker } = require('worker_threads');

const programs = {
  'nothing left': 'process.on("exit", (code) => parentPort.postMessage("exit " + code));',
  'exit code': 'process.exitCode = 5; process.on("exit", (code) => { parentPort.postMessage(code); });',
  'exit': 'process.on("exit", (code) => parentPort.postMessage("exit " + code));' +
    'setImmediate(() => parentPort.postMessage("no"));' +
    'try { process.exit(3); } finally { parentPort.postMessage("no"); }',
  'exit in exit': 'process.on("exit", () => process.exit(9));',
  'error': 'parentPort.postMessage("first"); process.on("exit", (code) => parentPort.postMessage("exit " + code));' +
    'setImmediate(() => parentPort.postMessage("no")); throw new TypeError("thrown");',
  'error with a code': 'process.on("exit", () => { process.exitCode = 6; }); throw new Error("six");',
  'error of a handler': 'process.on("uncaughtException", () => { throw new Error("of the handler"); }); throw 1;',
  'exit in a promise': 'new Promise(() => process.exit(2)); parentPort.postMessage("no");',
  'error in a timer': 'setTimeout(() => { process.nextTick(() => parentPort.postMessage("no")); throw new Error("later"); });' +
    'setTimeout(() => parentPort.postMessage("no"), 50);',
  'handled error': 'process.on("uncaughtException", (e) => parentPort.postMessage(e.message)); throw new Error("handled");',
  'rejection': 'Promise.reject(new RangeError("rejected"));',
  'value': 'throw { code: 7, list: [1] };',
  'string': 'throw "text";',
  'null': 'throw null;',
  'function': 'throw () => {};',
  'properties': 'throw Object.assign(new Error("e"), { code: "ECODE", deep: { a: new Set([1]) }, f() {} });',
  'class': 'class Special extends RangeError { get name() { return "Special"; } } throw new Special("of a class");',
  'cause': 'throw new Error("outer", { cause: new TypeError("inner") });',
  'missing file': 'require("./there/is/no/such/file");',
  'terminated': 'process.on("exit", () => parentPort.postMessage("no")); parentPort.postMessage("terminate");' +
    'setInterval(() => {}, 1000);',
  'terminated while busy': 'parentPort.postMessage("terminate"); for (;;);',
};

async function main() {
  for (const [name, source] of Object.entries(programs)) {
    console.log(`--- ${name}`);
    const worker = new Worker(`const { parentPort } = require('worker_threads');\n${source}`, { eval: true });
    worker.on('message', (message) => {
      console.log('message', message);
      if (message === 'terminate') {
        worker.terminate().then((code) => console.log('terminated', code));
      }
    });
    worker.on('error', (error) => {
      process.nextTick(() => console.log('tick of the error'));
      if (!(error instanceof Error)) {
        console.log('error', error);
        return;
      }
      console.log('error', error.constructor.name, error.name, error.message.split('\n')[0], Object.keys(error));
      if (error.code !== undefined) console.log(error.code, error.deep);
      if (error.cause !== undefined) console.log(error.cause.name, error.cause.message, error.cause instanceof TypeError);
    });
    await new Promise((resolve) => {
      worker.on('exit', (code) => {
        console.log('exit', code);
        resolve();
      });
    });
    console.log(await worker.terminate());
  }
}

main();
