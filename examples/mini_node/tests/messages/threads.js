'use strict';
// Messages to any thread by its number, and what becomes of them.
const {
  Worker, isMainThread, parentPort, postMessageToThread, threadId, workerData, MessageChannel,
} = require('worker_threads');

const outcome = (promise) => promise.then(
  () => 'delivered', ({ name, code, message }) => `${name} ${code} ${message}`);

if (isMainThread) {
  process.on('workerMessage', (value, source) => console.log('main got', value, 'of', source));
  (async () => {
    console.log(await outcome(postMessageToThread(threadId, 'itself')));
    console.log(await outcome(postMessageToThread(12345, 'nobody')));
    console.log(await outcome(postMessageToThread(1, 'x', [], -1)));
    console.log(await outcome(postMessageToThread(1, 'x', [], 'soon')));
    const child = new Worker(__filename, { workerData: 'child' });
    const line = () => new Promise((resolve) => child.once('message', resolve));
    // It has not begun: the message waits for it.
    const early = line();
    console.log(await outcome(postMessageToThread(child.threadId, { early: true })));
    console.log(await early);
    console.log(await outcome(postMessageToThread(child.threadId, () => {})));
    const { port1, port2 } = new MessageChannel();
    const onPort = new Promise((resolve) => port2.once('message', resolve));
    console.log(await outcome(postMessageToThread(child.threadId, { port: port1 }, [port1])));
    console.log(await onPort);
    port2.close();
    console.log(await outcome(postMessageToThread(child.threadId, 'throw')));
    console.log(await outcome(postMessageToThread(child.threadId, 'silence')));
    console.log(await outcome(postMessageToThread(child.threadId, 'nobody listens')));
    const grandchild = line();
    child.postMessage('grandchild');
    console.log(await grandchild);
    child.postMessage('end');
    await new Promise((resolve) => child.once('exit', resolve));
    console.log(await outcome(postMessageToThread(1, 'too late')));
  })();
} else if (workerData === 'child') {
  const listener = (value, source) => {
    if (value === 'throw') throw new Error('by the listener');
    if (value === 'silence') return process.off('workerMessage', listener);
    if (value.port) return value.port.postMessage(`got a port of ${source}`);
    parentPort.postMessage(value);
  };
  process.on('workerMessage', listener);
  parentPort.on('message', async (message) => {
    if (message === 'end') return parentPort.close();
    const worker = new Worker(__filename, { workerData: 'grandchild' });
    worker.on('message', (lines) => parentPort.postMessage(lines));
  });
} else {
  // The third in the line reaches the first, past the second.
  outcome(postMessageToThread(0, 'hello')).then((told) => parentPort.postMessage(told));
}
