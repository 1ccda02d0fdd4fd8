const { Worker, postMessageToThread } = require('worker_threads');
const worker = new Worker(`
  process.on('workerMessage', () => process.exit(3));
  const { parentPort } = require('worker_threads');
  parentPort.on('message', () => {});
  parentPort.postMessage('ready');
`, { eval: true });
let outcome = 'nobody tells';
worker.on('message', () => {
  postMessageToThread(worker.threadId, 'end').catch((error) => { outcome = error.code; });
});
process.on('exit', () => console.log(outcome));
