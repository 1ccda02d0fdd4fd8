// Workers of workers, and channels between them past their parents.
const { Worker, MessageChannel, isMainThread, parentPort, workerData } = require('worker_threads');

if (isMainThread) {
  const worker = new Worker(__filename, { workerData: 0 });
  worker.on('message', (message) => console.log(message));
  worker.on('error', (error) => console.log('error', error.message));
  worker.on('exit', (code) => console.log('exit', code));
} else if (workerData < 3) {
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(__filename, { workerData: workerData + 1 });
  worker.on('message', (message) => parentPort.postMessage([workerData, message]));
  worker.on('error', (error) => parentPort.postMessage(['error', workerData, error.message]));
  worker.on('exit', (code) => parentPort.postMessage(['exit', workerData, code]));
  worker.postMessage(port2, [port2]);
  port1.on('message', (message) => {
    parentPort.postMessage(['past the parent', workerData, message]);
    port1.close();
  });
} else {
  parentPort.once('message', (port) => {
    port.postMessage('hello from the innermost');
    setTimeout(() => { throw new Error('of the innermost'); }, 20);
  });
}
