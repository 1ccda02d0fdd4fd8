// An error that nobody caught in a microtask of a worker is told when it is thrown: the drain that goes on behind it may
// wait for the parent.
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');

const scripts = {
  waits(known) {
    queueMicrotask(() => { throw new Error('x'); });
    queueMicrotask(() => {
      Atomics.wait(known, 0, 0, 20_000);
      parentPort.postMessage(`the parent knows: ${Atomics.load(known, 0)}`);
    });
  },
  exits(known) {
    queueMicrotask(() => { throw new Error('x'); });
    queueMicrotask(() => {
      Atomics.wait(known, 0, 0, 20_000);
      process.exit(5);
    });
    queueMicrotask(() => parentPort.postMessage('no'));
  },
};

async function main() {
  for (const name of Object.keys(scripts)) {
    const known = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(__filename, { workerData: [name, known] });
    const said = [];
    worker.on('message', (text) => said.push(text));
    worker.on('error', (error) => {
      said.push(`error ${error.message}`);
      Atomics.store(known, 0, 1);
      Atomics.notify(known, 0);
    });
    const code = await new Promise((resolve) => worker.on('exit', resolve));
    console.log(name, code, said);
  }
}

if (isMainThread) main();
else scripts[workerData[0]](workerData[1]);
