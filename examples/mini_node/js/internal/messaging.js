// Channels between engines: MessagePort, MessageChannel, BroadcastChannel, and structuredClone.
//
// The native part names a port by a number, from when it is opened until its 'close' event or until
// it is transferred. The object below has that number, and the native part calls it back.
'use strict';

const native = internalBinding('messaging');
const { Event, EventTarget } = require('internal/event_target');
const { codes, define } = require('internal/errors');
const clone = require('internal/clone');
const { customInspect } = require('internal/symbols');

define('ERR_CONSTRUCT_CALL_REQUIRED', () => 'Cannot call constructor without `new`', TypeError);
define('ERR_CONSTRUCT_CALL_INVALID', () => 'Constructor cannot be called', TypeError);
define('ERR_INVALID_TRANSFER_OBJECT', () => 'Found invalid object in transferList', TypeError);

// Passed to constructors by this module alone.
const kInternal = Symbol('internal');

const untransferable = new WeakSet();

function markAsUntransferable(object) {
  if ((typeof object === 'object' && object !== null) || typeof object === 'function') {
    untransferable.add(object);
  }
}

class MessageEvent extends Event {
  #init;

  constructor(type, init = {}) {
    super(type, init);
    this.#init = { data: null, origin: '', lastEventId: '', source: null, ports: [], ...init };
  }

  get data() { return this.#init.data; }
  get origin() { return this.#init.origin; }
  get lastEventId() { return this.#init.lastEventId; }
  get source() { return this.#init.source; }
  get ports() { return this.#init.ports; }
}

class MessagePortCloseEvent extends Event {
  constructor() { super('close'); }
}

// The iterable of a transfer list as an array.
function listOf(value, name) {
  if (value === undefined) return [];
  const isObject = (one) => typeof one === 'object' && one !== null;
  const begin = isObject(value) || typeof value === 'function' ? value[Symbol.iterator] : undefined;
  const iterator = typeof begin === 'function' ? begin.call(value) : undefined;
  const next = isObject(iterator) ? iterator.next : undefined;
  if (typeof next !== 'function') {
    const error = new TypeError(`Optional ${name} argument must be an iterable`);
    error.code = 'ERR_INVALID_ARG_TYPE';
    throw error;
  }
  const list = [];
  for (let step = next.call(iterator); !step.done; step = next.call(iterator)) list.push(step.value);
  return list;
}

// The second argument of postMessage: a list, or an object that has one.
function transferListOf(options) {
  if (options === null) return [];
  if (typeof options === 'object' && typeof options[Symbol.iterator] !== 'function') {
    return listOf(options.transfer, 'options.transfer');
  }
  return listOf(options, 'transferList');
}

// What of a transfer list moves: buffers, and ports with their numbers.
function sort(list, source) {
  const transfer = { buffers: [], ports: [], numbers: [] };
  for (const entry of list) {
    if (entry instanceof ArrayBuffer) {
      if (untransferable.has(entry)) continue;
      if (transfer.buffers.includes(entry)) {
        throw clone.dataCloneError('Transfer list contains duplicate ArrayBuffer');
      }
      transfer.buffers.push(entry);
    } else if (MessagePort.is(entry)) {
      if (untransferable.has(entry)) continue;
      if (entry === source) throw clone.dataCloneError('Transfer list contains source port');
      if (transfer.ports.includes(entry)) {
        throw clone.dataCloneError('Transfer list contains duplicate MessagePort');
      }
      const number = MessagePort.numberOf(entry);
      if (number === undefined || !native.isOpen(number)) {
        throw clone.dataCloneError('MessagePort in transfer list is already detached');
      }
      transfer.ports.push(entry);
      transfer.numbers.push(number);
    } else {
      throw new codes.ERR_INVALID_TRANSFER_OBJECT();
    }
  }
  return transfer;
}

// Sends a message by the native function `post`, and takes what it transfers from this engine.
function send(post, number, value, list, source) {
  const { buffers, ports, numbers } = sort(list, source);
  const result = post(number, value, buffers, ports, numbers);
  for (const port of ports) MessagePort.leave(port);
  return result;
}

// An EventTarget that hears of its first listener for messages and of its last one's end, and that
// has the verbs of an EventEmitter too. A listener that came by `on` gets the data, not the event.
class MessageTarget extends EventTarget {
  // From a type to its listeners: what the program gave, and what the EventTarget has for it.
  #listeners = new Map();
  // The values of `onmessage` and its like.
  #handlers = new Map();

  #of(type) {
    let list = this.#listeners.get(type);
    if (list === undefined) this.#listeners.set(type, list = []);
    return list;
  }

  #add(type, listener, isCapture, call, once) {
    const list = this.#of(type);
    if (list.some((known) => known.listener === listener && known.isCapture === isCapture)) return;
    const record = { listener, isCapture, call: undefined };
    record.call = (event) => {
      if (once) this.#remove(type, listener, isCapture);
      return call(event);
    };
    list.push(record);
    super.addEventListener(type, record.call, isCapture);
    if (type === 'message' && list.length === 1) this._listened();
  }

  #remove(type, listener, isCapture, isTold = true) {
    const list = this.#of(type);
    const place =
      list.findIndex((known) => known.listener === listener && known.isCapture === isCapture);
    if (place === -1) return;
    const [record] = list.splice(place, 1);
    super.removeEventListener(type, record.call, isCapture);
    if (type === 'message' && list.length === 0 && isTold) this._unlistened();
  }

  addEventListener(type, listener, options = undefined) {
    type = `${type}`;
    const isCapture = typeof options === 'boolean' ? options : Boolean(options?.capture);
    if (listener === null || listener === undefined) return;
    if (typeof listener !== 'function' && typeof listener !== 'object') {
      throw new codes.ERR_INVALID_ARG_TYPE('listener', 'EventListener', listener);
    }
    const signal = options?.signal;
    if (signal?.aborted) return;
    const call = (event) => (typeof listener === 'function' ?
      listener.call(this, event) : listener.handleEvent(event));
    this.#add(type, listener, isCapture, call, Boolean(options?.once));
    signal?.addEventListener('abort', () => this.#remove(type, listener, isCapture), { once: true });
  }

  removeEventListener(type, listener, options = undefined) {
    this.#remove(`${type}`, listener, typeof options === 'boolean' ? options : Boolean(options?.capture));
  }

  on(type, listener) {
    this.#add(type, listener, false, (event) => listener.call(this, argumentOf(event)), false);
    return this;
  }

  addListener(type, listener) { return this.on(type, listener); }

  once(type, listener) {
    this.#add(type, listener, false, (event) => listener.call(this, argumentOf(event)), true);
    return this;
  }

  off(type, listener) {
    this.#remove(type, listener, false);
    return this;
  }

  removeListener(type, listener) { return this.off(type, listener); }

  // As in Node, a port whose listeners have been removed so keeps the program alive as before.
  removeAllListeners(type) {
    for (const one of type === undefined ? [...this.#listeners.keys()] : [`${type}`]) {
      for (const { listener, isCapture } of [...this.#of(one)]) {
        this.#remove(one, listener, isCapture, false);
      }
    }
    return this;
  }

  emit(type, data) {
    const hadListeners = this.#of(type).length > 0;
    this.dispatchEvent(new MessageEvent(type, { data }));
    return hadListeners;
  }

  listenerCount(type) { return this.#of(type).length; }

  // Node listens at its own ports, in sight of programs.
  eventNames() {
    const types = [...this.#listeners.keys()].filter((type) => this.#of(type).length > 0);
    return ['newListener', 'removeListener', ...types];
  }

  setMaxListeners() { return this; }
  getMaxListeners() { return 10; }

  _handler(type) { return this.#handlers.get(type)?.value ?? null; }

  _setHandler(type, value) {
    const before = this.#handlers.get(type);
    if (typeof value !== 'function' && (typeof value !== 'object' || value === null)) {
      this.#handlers.delete(type);
      if (before !== undefined) this.#remove(type, before, false);
      return;
    }
    if (before !== undefined) {
      before.value = value; // It keeps its place among the listeners.
      return;
    }
    const handler = { value };
    this.#handlers.set(type, handler);
    const call = (event) => (typeof handler.value === 'function' ?
      handler.value.call(this, event) : undefined);
    this.#add(type, handler, false, call, false);
  }

  get onmessage() { return this._handler('message'); }
  set onmessage(value) { this._setHandler('message', value); }
  get onmessageerror() { return this._handler('messageerror'); }
  set onmessageerror(value) { this._setHandler('messageerror', value); }
}

// What a listener that came by `on` gets.
function argumentOf(event) {
  return event instanceof MessageEvent ? event.data : event;
}

class MessagePort extends MessageTarget {
  // The native part's number. Undefined once the port is closed or transferred.
  #number;
  #isStarted = false;
  #isRef = false;

  constructor(key, number) {
    if (key !== kInternal) throw new codes.ERR_CONSTRUCT_CALL_INVALID();
    super();
    this.#number = number;
    native.attach(number, () => this.#closed());
  }

  static is(value) { return typeof value === 'object' && value !== null && #number in value; }
  static numberOf(port) { return port.#number; }

  // The port was transferred. To its listeners that is a close.
  static leave(port) {
    native.afterCheck(() => port.#closed());
    port.#number = undefined;
  }

  #closed() {
    this.#number = undefined;
    this.#isRef = false;
    this.dispatchEvent(new MessagePortCloseEvent());
  }

  // `error` is why the message could not be read.
  #deliver(data, ports, error) {
    const event = error === undefined ? new MessageEvent('message', { data, ports }) :
      new MessageEvent('messageerror', { data: error });
    this.dispatchEvent(event);
  }

  _listened() {
    this.ref();
    this.start();
  }

  _unlistened() { this.unref(); }

  postMessage(value, options) {
    if (arguments.length === 0) {
      const error = new TypeError('Not enough arguments to MessagePort.postMessage');
      error.code = 'ERR_MISSING_ARGS';
      throw error;
    }
    const list = transferListOf(options);
    const isLost = send(native.post, this.#number ?? -1, value, list, this);
    if (isLost) {
      process.emitWarning('The target port was posted to itself, and the communication channel was lost');
    }
  }

  start() {
    if (this.#number === undefined || this.#isStarted) return;
    this.#isStarted = true;
    native.start(this.#number, (data, ports, error) => this.#deliver(data, ports, error));
  }

  close(callback) {
    if (typeof callback === 'function') this.once('close', callback);
    if (this.#number !== undefined) native.close(this.#number);
  }

  ref() {
    if (this.#number === undefined) return;
    this.#isRef = true;
    native.setRef(this.#number, true);
  }

  unref() {
    if (this.#number === undefined) return;
    this.#isRef = false;
    native.setRef(this.#number, false);
  }

  hasRef() { return this.#isRef; }

  [customInspect](depth, options, inspect) {
    const fields = { active: this.#number !== undefined, refed: this.#isRef };
    return `MessagePort [EventTarget] ${inspect(fields, options)}`;
  }
}

clone.setIsPort(MessagePort.is);

function MessageChannel() {
  if (new.target === undefined) throw new codes.ERR_CONSTRUCT_CALL_REQUIRED();
  const [one, other] = native.channel();
  this.port1 = adopt(one);
  this.port2 = adopt(other);
}

// The object of a port that the native part has opened.
function adopt(number) {
  return new MessagePort(kInternal, number);
}

class BroadcastChannel extends MessageTarget {
  // The native part's number. Undefined once the channel is closed.
  #number;
  #name;

  constructor(name) {
    if (arguments.length === 0) throw new codes.ERR_MISSING_ARGS('name');
    super();
    this.#name = `${name}`;
    this.#number = native.openBroadcast(this.#name, (data, error) => {
      const type = error === undefined ? 'message' : 'messageerror';
      this.dispatchEvent(new MessageEvent(type, { data: error ?? data }));
    });
  }

  static numberOf(channel) {
    return typeof channel === 'object' && channel !== null && #number in channel ?
      channel.#number ?? -1 : undefined;
  }

  _listened() {}
  _unlistened() {}

  get name() { return this.#name; }

  postMessage(message) {
    if (arguments.length === 0) throw new codes.ERR_MISSING_ARGS('message');
    if (this.#number === undefined) {
      throw new DOMException('BroadcastChannel is closed.', 'InvalidStateError');
    }
    native.postBroadcast(this.#number, message);
  }

  close() {
    if (this.#number === undefined) return;
    native.closeBroadcast(this.#number);
    this.#number = undefined;
  }

  ref() {
    if (this.#number !== undefined) native.setBroadcastRef(this.#number, true);
    return this;
  }

  unref() {
    if (this.#number !== undefined) native.setBroadcastRef(this.#number, false);
    return this;
  }

  [customInspect](depth, options, inspect) {
    const fields = { name: this.#name, active: this.#number !== undefined };
    return `BroadcastChannel ${inspect(fields, options)}`;
  }
}

function receiveMessageOnPort(port) {
  let received;
  const broadcast = BroadcastChannel.numberOf(port);
  if (broadcast !== undefined) {
    received = native.receiveBroadcast(broadcast);
  } else if (MessagePort.is(port)) {
    received = native.receive(MessagePort.numberOf(port) ?? -1);
  } else {
    const error = new TypeError('The "port" argument must be a MessagePort instance');
    error.code = 'ERR_INVALID_ARG_TYPE';
    throw error;
  }
  return received === undefined ? undefined : { message: received[0] };
}

function structuredClone(value, options) {
  if (arguments.length === 0) {
    const error = new TypeError('The value argument must be specified');
    error.code = 'ERR_MISSING_ARGS';
    throw error;
  }
  const list = listOf(options?.transfer, 'transferList');
  return send((_, ...rest) => native.clone(...rest), 0, value, list, undefined);
}

// Node has these on the prototype, in sight of `for...in`.
for (const name of ['message', 'messageerror']) {
  for (const { prototype } of [MessagePort, BroadcastChannel]) {
    Object.defineProperty(prototype, `on${name}`,
      Object.getOwnPropertyDescriptor(MessageTarget.prototype, `on${name}`));
  }
}

module.exports = {
  BroadcastChannel,
  MessageChannel,
  MessageEvent,
  MessagePort,
  adopt,
  markAsUntransferable,
  receiveMessageOnPort,
  send,
  structuredClone,
  transferListOf,
};
