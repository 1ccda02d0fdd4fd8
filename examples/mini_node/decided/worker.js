const { Worker } = require('worker_threads');
const worker = new Worker(`
  const say = (text) => require('worker_threads').parentPort.postMessage(text);
  setTimeout(() => {
    queueMicrotask(() => { throw new Error('first'); });
    queueMicrotask(() => say('microtask'));
  }, 1);
  setTimeout(() => say('second timer'), 1);
  const end = performance.now() + 5;
  while (performance.now() < end);
`, { eval: true });
worker.on('message', (text) => console.log(text));
worker.on('error', () => {});
worker.on('exit', (code) => console.log(`exit ${code}`));
