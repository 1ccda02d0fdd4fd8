'use strict';
// MessageEvent, the classes of ports and channels, and who may call what of them.
const { MessageChannel, MessagePort, BroadcastChannel } = require('worker_threads');
const { inspect } = require('util');
const attempt = (name, f) => {
  try {
    console.log(name, f());
  } catch (error) {
    console.log(name, error.constructor.name, error.code, error.message);
  }
};
const { port1, port2 } = new MessageChannel();

const fields = ({ type, data, origin, lastEventId, source, ports }) =>
  [type, data, origin, lastEventId, source === port1, ports.length];
attempt('plain', () => fields(new MessageEvent('message')));
attempt('undefined', () => fields(new MessageEvent('message', { data: undefined })));
attempt('texts', () => fields(new MessageEvent('message', { origin: 1, lastEventId: 0 })));
attempt('ports', () => fields(new MessageEvent('x', { source: port1, ports: new Set([port1, port2]) })));
attempt('source', () => new MessageEvent('message', { source: {} }));
attempt('ports', () => new MessageEvent('message', { ports: 0 }));
attempt('ports', () => new MessageEvent('message', { ports: [port1, null] }));
for (const name of ['data', 'origin', 'lastEventId', 'source', 'ports']) {
  attempt(name, () => Reflect.get(MessageEvent.prototype, name, {}));
}

for (const name of ['type', 'target', 'bubbles', 'defaultPrevented', 'timeStamp', 'eventPhase']) {
  attempt(`Event ${name}`, () => Reflect.get(Event.prototype, name, {}));
}
for (const name of ['preventDefault', 'stopPropagation', 'composedPath']) {
  attempt(`Event ${name}`, () => Event.prototype[name].call({}));
}
attempt('detail', () => Reflect.get(CustomEvent.prototype, 'detail', new Event('x')));

attempt('MessagePort', () => MessagePort());
attempt('MessagePort', () => new MessagePort());
attempt('MessageChannel', () => MessageChannel());
console.log(port1 instanceof MessagePort, port1.constructor === MessagePort);
console.log(Object.getOwnPropertyNames(MessagePort.prototype).sort().join());

port1.on('own', (value) => console.log('on', value));
port1.addEventListener('own', (event) => console.log('event', event.type, event.detail));
console.log(port1.emit('own', 'value'), port1.emit('other', 'value'));
port1.on('message', (value) => console.log('message', value instanceof Event || value));
port1.onmessage = ({ data, target, ports }) => console.log('event', data, target === port1, ports);
port2.postMessage({ a: 1 });
setImmediate(() => {
  const made = new MessageEvent('message', { data: 'made' });
  port1.once('message', (value) => console.log('itself', value === made));
  port1.onmessage = null;
  port1.removeAllListeners('own');
  port1.dispatchEvent(made);
  port1.close();
});

const channel = new BroadcastChannel('name');
for (const name of ['close', 'postMessage', 'ref', 'unref']) {
  attempt(name, () => channel[name].call({}));
}
attempt('name', () => Reflect.get(BroadcastChannel.prototype, 'name', {}));
attempt('inspect', () => channel[inspect.custom].call());
console.log(inspect(channel, { depth: -1 }), inspect(channel), inspect(channel, { depth: null }));
channel.close();
console.log(inspect(channel));

attempt('clone', () => structuredClone());
for (const options of ['', 1, true, null, undefined, {}, () => {}]) {
  attempt(`options ${String(options)}`, () => structuredClone(undefined, options));
}
for (const transfer of ['', 1, {}, null, undefined, []]) {
  attempt(`transfer ${inspect(transfer)}`, () => structuredClone(undefined, { transfer }));
}
attempt('generator', () => structuredClone({}, { transfer: { *[Symbol.iterator]() {} } }));

const closed = new MessageChannel().port2;
closed.close();
const { moveMessagePortToContext, receiveMessageOnPort } = require('worker_threads');
attempt('move', () => moveMessagePortToContext(closed, {}));
attempt('move', () => moveMessagePortToContext({}, {}));
attempt('receive', () => receiveMessageOnPort({}));
