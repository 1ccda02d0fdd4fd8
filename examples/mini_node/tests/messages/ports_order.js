// Messages come in the poll phase, each with a drain of its own; closes come after the immediates.
const { MessageChannel } = require('worker_threads');

const { port1, port2 } = new MessageChannel();
port2.on('message', (message) => {
  console.log('message', message);
  process.nextTick(() => console.log('tick of', message));
  Promise.resolve().then(() => console.log('microtask of', message));
  setImmediate(() => console.log('immediate of', message));
  if (message === 'a') port1.postMessage('posted while a is delivered');
  if (message === 'b') port1.close();
});
port1.on('close', () => {
  console.log('port1 is closed');
  process.nextTick(() => console.log('tick of the close'));
});
port2.on('close', () => console.log('port2 is closed'));
setImmediate(() => console.log('immediate of main'));
process.nextTick(() => console.log('tick of main'));
port1.postMessage('a');
port1.postMessage('b');
port1.postMessage('c');
console.log('end of main');
