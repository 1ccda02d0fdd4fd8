// The ways to listen at a port, and what a listener's exception does.
const { MessageChannel } = require('worker_threads');

process.on('uncaughtException', (error) => console.log('uncaught:', error.message));

const { port1, port2 } = new MessageChannel();
const removed = () => console.log('never called');
port2.on('message', removed);
port2.once('message', (message) => console.log('once', message));
port2.on('message', (message) => console.log('on', message));
port2.addEventListener('message', (event) => {
  console.log('event', event.type, event.data, event.target === port2, event.ports.length);
});
port2.addEventListener('message', { handleEvent: (event) => console.log('object', event.data) });
port2.off('message', removed);
port2.onmessage = (event) => console.log('first handler', event.data);
port2.onmessage = (event) => {
  console.log('second handler', event.data);
  if (event.data === 2) {
    process.nextTick(() => console.log('tick before the exception'));
    throw new Error('of the handler');
  }
};
port2.on('message', (message) => {
  console.log('last', message);
  if (message === 3) {
    port2.onmessage = null;
    console.log(port2.onmessage, port2.listenerCount('message'), port2.eventNames());
    port1.close();
  }
});
port2.on('close', () => console.log('close'));

// A listener that is added while others are called, and one that is removed.
const target = new EventTarget();
const second = () => console.log('second');
target.addEventListener('x', () => {
  console.log('first');
  target.removeEventListener('x', second);
  target.addEventListener('x', () => console.log('added by the first'));
});
target.addEventListener('x', second);
target.addEventListener('x', () => {
  console.log('third');
});
target.dispatchEvent(new Event('x'));
for (const message of [1, 2, 3]) port1.postMessage(message);

{
  // What is posted while nobody listens waits for the next listener.
  const { port1, port2 } = new MessageChannel();
  const nobody = () => console.log('never');
  port2.on('message', nobody);
  setImmediate(() => {
    port2.off('message', nobody);
    port1.postMessage('waited');
    setImmediate(() => setImmediate(() => {
      port2.on('message', (message) => {
        console.log(message);
        port2.close();
      });
    }));
  });
}
