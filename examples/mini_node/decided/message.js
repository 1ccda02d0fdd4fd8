const { MessageChannel } = require('worker_threads');
process.on('uncaughtException', (error) => console.log(`caught ${error.message}`));
const { port1, port2 } = new MessageChannel();
port2.on('message', (value) => {
  console.log(`message ${value}`);
  setImmediate(() => console.log(`immediate of ${value}`));
  if (value === 1) throw new Error('at 1');
  port2.close();
});
port1.postMessage(1);
port1.postMessage(2);
