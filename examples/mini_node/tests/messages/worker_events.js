// What a parent hears of its worker, in order.
const { Worker, isMainThread, parentPort, workerData, threadId } = require('worker_threads');

if (isMainThread) {
  const worker = new Worker(__filename, { workerData: { list: [1, 2], map: new Map([['a', 1]]) } });
  console.log(worker.threadId > 0, threadId, parentPort, workerData);
  worker.on('online', () => console.log('online'));
  worker.on('message', (message) => {
    console.log('message', message);
    process.nextTick(() => console.log('tick of', message));
    Promise.resolve().then(() => console.log('microtask of', message));
    if (message === 'ready') {
      worker.postMessage({ question: 1 });
      worker.postMessage({ question: 2 });
      worker.postMessage('end');
    }
  });
  worker.on('exit', (code) => {
    console.log('exit', code, worker.threadId);
    process.nextTick(() => console.log('tick of the exit'));
    setImmediate(() => console.log('immediate of the exit'));
    worker.postMessage('to nobody');
  });
} else {
  parentPort.postMessage([threadId > 0, isMainThread, workerData]);
  setTimeout(() => parentPort.postMessage('timeout'), 1);
  setImmediate(() => parentPort.postMessage('immediate'));
  process.nextTick(() => parentPort.postMessage('tick'));
  const until = Date.now() + 20;
  while (Date.now() < until);
  setTimeout(() => parentPort.postMessage('ready'), 20);
  parentPort.on('message', (message) => {
    parentPort.postMessage({ answer: message });
    if (message === 'end') parentPort.close();
  });
  process.on('exit', (code) => parentPort.postMessage(`exit ${code}: too late, the port is closed`));
}
