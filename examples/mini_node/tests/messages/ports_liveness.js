// What keeps a program alive: a port that is listened at, or that was told to.
const { MessageChannel, BroadcastChannel } = require('worker_threads');

const states = [];
{
  const { port1, port2 } = new MessageChannel();
  states.push(port1.hasRef(), port2.hasRef());
  port1.ref();
  states.push(port1.hasRef());
  port1.unref();
  states.push(port1.hasRef());
  const listener = () => {};
  port1.on('message', listener);
  states.push(port1.hasRef());
  port1.off('message', listener);
  states.push(port1.hasRef());
  port1.on('message', listener);
  port1.unref();
  states.push(port1.hasRef());
  port2.start();
  states.push(port2.hasRef());
}
console.log(states.join());
new BroadcastChannel('unheard').unref();

const { port1, port2 } = new MessageChannel();
port1.ref();
port2.on('close', () => console.log('closed'));
setTimeout(() => {
  console.log('alive by ref');
  port1.close();
}, 20);
setTimeout(() => console.log('never'), 10_000).unref();
process.on('exit', () => console.log('exit'));
