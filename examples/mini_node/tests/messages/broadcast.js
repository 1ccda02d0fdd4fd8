// A broadcast reaches all other channels of its name, in order, and never itself.
const { BroadcastChannel, receiveMessageOnPort, Worker } = require('worker_threads');

const [one, two, three] = [1, 2, 3].map(() => new BroadcastChannel('news'));
const other = new BroadcastChannel('other');
other.onmessage = () => console.log('never');
one.onmessage = () => console.log('never');
two.onmessage = (event) => {
  console.log('two', event.data, event.type, event.target === two);
  process.nextTick(() => console.log('tick of two'));
};
three.addEventListener('message', ({ data }) => {
  console.log('three', data);
  if (data.last) [one, two, three, other].forEach((channel) => channel.close());
});
one.postMessage({ first: true });
one.postMessage({ last: true });
console.log('posted', one.name);

const [from, to] = [new BroadcastChannel('queue'), new BroadcastChannel('queue')];
from.postMessage('taken');
console.log(receiveMessageOnPort(to), receiveMessageOnPort(to));
from.close();
to.close();
try { receiveMessageOnPort(to); } catch (error) { console.log(error.code, error.message); }

const answers = new BroadcastChannel('answers');
answers.onmessage = ({ data }) => {
  console.log('worker says', data);
  answers.close();
};
new Worker(`
  const { BroadcastChannel } = require('worker_threads');
  const channel = new BroadcastChannel('answers');
  channel.postMessage(new Map([['from', 'a worker']]));
  channel.close();
`, { eval: true }).on('exit', (code) => console.log('exit', code));
