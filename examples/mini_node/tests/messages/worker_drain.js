// An error that nobody caught in a microtask of a worker: the rest of the drain runs, and then the worker ends.
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');

const say = (text) => parentPort.postMessage(text);
const fail = (text = 'x') => { throw new Error(text); };
const { nextTick } = process;

const scripts = [
  () => { nextTick(() => say('tick')); queueMicrotask(() => fail()); queueMicrotask(() => say('microtask')); setImmediate(say, 'no'); },
  () => queueMicrotask(() => {
    queueMicrotask(() => say('new microtask'));
    nextTick(() => say('tick before'));
    fail();
  }),
  () => { queueMicrotask(fail); queueMicrotask(() => { say('microtask'); fail('y'); }); queueMicrotask(() => say('another')); },
  () => {
    process.on('exit', (code) => { say(`exit ${code}`); queueMicrotask(() => say('of exit')); nextTick(() => say('no')); });
    queueMicrotask(() => fail());
    queueMicrotask(() => say('microtask'));
  },
  () => { queueMicrotask(fail); (async () => { await 0; say('1'); await 0; say('2'); Promise.reject(new Error('y')); })(); },
  () => { nextTick(() => { queueMicrotask(() => fail()); queueMicrotask(() => say('microtask')); }); nextTick(() => say('tick')); },
  () => require('fs').stat('.', () => {
    queueMicrotask(() => fail());
    queueMicrotask(() => say('microtask'));
    nextTick(() => say('tick'));
    setImmediate(say, 'no');
  }),
  () => {
    process.on('uncaughtException', () => fail('of the handler'));
    queueMicrotask(() => fail());
    queueMicrotask(() => say('microtask'));
  },
];

async function main() {
  for (const number of scripts.keys()) {
    const worker = new Worker(__filename, { workerData: number });
    const said = [];
    worker.on('message', (text) => said.push(text));
    worker.on('error', (error) => said.push(`error ${error.message}`));
    const code = await new Promise((resolve) => worker.on('exit', resolve));
    console.log(number, code, said.filter((text) => !text.startsWith('error')), said.filter((text) => text.startsWith('error')));
  }
}

if (isMainThread) main();
else scripts[workerData]();
