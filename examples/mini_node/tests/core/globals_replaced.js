'use strict';
// A program may put anything in the place of a global: the modules that come with Node do not look.
const net = require('net');
const { EventEmitter, addAbortListener } = require('events');
const { log } = console;
const { nextTick } = process;
const real = { AbortController, AggregateError, Event, AbortSignal, JSON, Promise, SyntaxError, TypeError, structuredClone };

const names = [
  'process', 'Buffer', 'URL', 'DOMException', 'performance', 'queueMicrotask', 'setTimeout',
  'setImmediate', 'clearTimeout', 'TextDecoder', 'console', 'Event', 'EventTarget',
  'AggregateError', 'JSON', 'Promise', 'SyntaxError', 'TypeError', 'WeakMap', 'WeakRef',
];
const timers = require('timers');
const RealWeakMap = WeakMap;
for (const name of names) Object.defineProperty(globalThis, name, { value: {}, configurable: true });

timers.setImmediate(() => log('immediate'));
nextTick(() => log('tick'));
for (const name of ['get', 'set', 'has', 'delete']) RealWeakMap.prototype[name] = () => { throw new Error(`${name} was called`); };
real.Promise.resolve().then(() => log('promise'));
const controller = new real.AbortController();
controller.signal.addEventListener('abort', (event) => log(event.type, typeof event.timeStamp));
controller.abort();
log(controller.signal.reason.name);
addAbortListener(controller.signal, () => log('told late'));
try {
  real.structuredClone(() => {});
} catch (error) {
  log(error.name, error.code);
}
log(require('fs').readFileSync(__filename).toString().length > 0);
log(new (require('util').TextDecoder)().decode(new Uint8Array([104, 105])));
new EventEmitter().on('error', (error) => log(error.message)).emit('error', new Error('told'));
real.Promise.any([real.Promise.reject(1)]).catch((error) => log(error instanceof real.AggregateError, error.errors, error.message));
for (const f of [() => real.JSON.parse('{x'), () => real.Promise.any.call(1).catch(() => {}), () => null.x, () => { throw new Error('of the program'); }]) {
  try {
    f();
  } catch (error) {
    log(error.name, error.message, error instanceof real.TypeError, error instanceof real.SyntaxError, error.stack.split('\n')[0]);
  }
}
const server = net.createServer((socket) => socket.end('bytes')).listen(0, () => {
  const socket = net.connect(server.address().port);
  socket.setTimeout(10_000);
  socket.on('data', (data) => log(data.toString()));
  socket.on('close', () => server.close(() => log('closed')));
});
