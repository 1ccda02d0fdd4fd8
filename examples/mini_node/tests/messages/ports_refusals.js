// What has no clone, and how that is said.
const {
  MessageChannel, MessagePort, BroadcastChannel, markAsUntransferable, receiveMessageOnPort,
} = require('worker_threads');

function attempt(name, f) {
  try {
    console.log(name, f());
  } catch (error) {
    console.log(name, error.constructor.name, error.name, error.code, error.message);
  }
}

function send(name, value, list) {
  attempt(name, () => {
    const { port1, port2 } = new MessageChannel();
    port1.postMessage(value, list);
    return receiveMessageOnPort(port2).message;
  });
}

class Class { method() {} }
send('symbol', Symbol('x'));
send('arrow', () => {});
send('function', function named(a) { return a; });
send('class', Class);
send('within', { a: [{ b: () => 1 }] });
send('promise', Promise.resolve(1));
send('weak map', new WeakMap());
send('proxy', new Proxy({}, {}));
send('proxy of an array', new Proxy([], {}));
send('generator', (function* () {})());
send('arguments', (function () { return arguments; })(1));
send('symbol object', Object(Symbol('q')));
send('getter', { get a() { throw new RangeError('of the getter'); } });
send('port', new MessageChannel().port1);

const { port1, port2 } = new MessageChannel();
attempt('source port', () => port1.postMessage(1, [port1]));
attempt('twice', () => port1.postMessage(1, [port2, port2]));
send('number in list', 1, [1]);
send('object in list', 1, [{}]);
send('view in list', 1, [new Uint8Array(2)]);
send('shared in list', 1, [new SharedArrayBuffer(2)]);
send('no list', 1, 3);
send('no list in options', 1, { transfer: 3 });
send('null', 1, null);
send('null in options', 1, { transfer: null });
send('nothing in options', 1, {});
const closing = new MessageChannel();
closing.port1.close();
send('closing port', closing.port1, [closing.port1]);
const buffer = new ArrayBuffer(4);
send('buffer twice', buffer, [buffer, buffer]);
send('buffer', buffer, [buffer]);
send('detached', buffer);
send('view of detached', new Uint8Array(new ArrayBuffer(0)));
send('detached in list', 1, [buffer]);
const seen = new ArrayBuffer(4);
const views = [new Uint8Array(seen), new DataView(seen)];
send('seen', seen, [seen]);
for (const view of views) send('view of what is detached', view);
const marked = new ArrayBuffer(4);
markAsUntransferable(marked);
send('marked', marked, [marked]);
console.log(marked.byteLength);
const markedPort = new MessageChannel().port1;
markAsUntransferable(markedPort);
send('marked port', markedPort, [markedPort]);

attempt('no message', () => port1.postMessage());
attempt('new MessagePort', () => new MessagePort());
attempt('MessageChannel()', () => MessageChannel());
attempt('receive from nothing', () => receiveMessageOnPort({}));
attempt('no value', () => structuredClone());
attempt('function', () => structuredClone(() => {}));
attempt('no name', () => new BroadcastChannel());
attempt('broadcast', () => {
  const channel = new BroadcastChannel('x');
  try {
    channel.postMessage(() => {});
  } finally {
    channel.close();
  }
});
attempt('closed', () => {
  const channel = new BroadcastChannel('x');
  channel.close();
  channel.postMessage(1);
});
for (const listener of [5, 'text', true, Symbol('s')]) {
  attempt('no listener', () => new MessageChannel().port1.on('message', listener));
}
