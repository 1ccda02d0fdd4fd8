// Buffers and ports that travel between workers.
const { Worker, MessageChannel } = require('worker_threads');

const source = `
const { parentPort, workerData } = require('worker_threads');
workerData.port.postMessage('from the worker, by workerData');
parentPort.on('message', ({ bytes, port, shared }) => {
  for (let i = 0; i < bytes.length; i++) bytes[i] += 1;
  Atomics.add(shared, 0, 42);
  port.postMessage('from the worker, by a message');
  parentPort.postMessage(bytes, [bytes.buffer]);
  parentPort.postMessage(bytes.length);
  port.on('message', (text) => {
    port.postMessage('echo of ' + text);
  });
  port.on('close', () => parentPort.close());
});
`;

const told = [];
const first = new MessageChannel();
const worker = new Worker(source, {
  eval: true,
  workerData: { port: first.port2 },
  transferList: [first.port2],
});
first.port1.on('message', (text) => {
  console.log(text);
  first.port1.close();
  const second = new MessageChannel();
  second.port1.on('message', (reply) => {
    console.log(reply);
    if (reply.startsWith('from')) second.port1.postMessage('hello');
    else second.port1.close();
  });
  const bytes = new Uint8Array(1_000_000).fill(7);
  const shared = new Int32Array(new SharedArrayBuffer(4));
  worker.on('message', (message) => {
    // Told at the exit: nothing is said of the order of messages from two channels.
    if (typeof message === 'number') told.push(`left in the worker: ${message}`);
    else told.push([message.length, message.every((byte) => byte === 8), shared[0]].join());
  });
  worker.postMessage({ bytes, port: second.port2, shared }, [bytes.buffer, second.port2]);
  console.log('left here:', bytes.length);
});
worker.on('exit', (code) => console.log('exit', code, told));
