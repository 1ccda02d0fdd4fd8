// What a worker has queued when an error ends it does not run any more.
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');

const say = (text) => parentPort.postMessage(text);

const scripts = {
  script() {
    queueMicrotask(() => say('no: microtask'));
    throw new Error('in the script');
  },
  timer() {
    setTimeout(() => {
      process.nextTick(say, 'no: tick');
      Promise.resolve().then(() => say('no: microtask'));
      throw new Error('in a timer');
    });
  },
  tick() {
    process.nextTick(() => {
      process.nextTick(say, 'no: tick');
      queueMicrotask(() => say('no: microtask'));
      throw new Error('in a tick');
    });
  },
  rejection() {
    setImmediate(say, 'no: immediate');
    Promise.reject(new Error('rejected'));
  },
};

async function main() {
  for (const name of Object.keys(scripts)) {
    const worker = new Worker(__filename, { workerData: name });
    worker.on('message', (text) => console.log(text));
    worker.on('error', (error) => console.log(error.message));
    await new Promise((resolve) => worker.on('exit', (code) => {
      console.log(name, 'exit', code);
      resolve();
    }));
  }
}

if (isMainThread) main();
else scripts[workerData]();
