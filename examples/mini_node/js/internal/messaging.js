// Channels between engines: MessagePort, MessageChannel, BroadcastChannel, and structuredClone.
//
// The native part names a port by a number, from when it is opened until its 'close' event or until
// it is transferred. The object below has that number, and the native part calls it back.
'use strict';

const native = internalBinding('messaging');
const { DOMException } = require('internal/dom_exception');
const { CustomEvent, Event, EventTarget } = require('internal/event_target');
const { codes, define } = require('internal/errors');
const clone = require('internal/clone');
const { customInspect } = require('internal/symbols');

define('ERR_CONSTRUCT_CALL_REQUIRED', () => 'Cannot call constructor without `new`', TypeError);
define('ERR_CONSTRUCT_CALL_INVALID', () => 'Constructor cannot be called', TypeError);
define('ERR_INVALID_TRANSFER_OBJECT', () => 'Found invalid object in transferList', TypeError);

// What a target of messages does at its first listener for them, and at the end of its last.
const kListened = Symbol('listened');
const kUnlistened = Symbol('unlistened');

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
    const { data = null, origin = '', lastEventId = '', source = null, ports = [] } = init ?? {};
    if (source !== null) checkPort(source, 'init.source');
    if (typeof ports?.[Symbol.iterator] !== 'function') throw new TypeError('ports is not iterable');
    const list = [...ports];
    list.forEach((port, index) => checkPort(port, `init.ports[${index}]`));
    this.#init = { data, origin: `${origin}`, lastEventId: `${lastEventId}`, source, ports: list };
  }

  static #of(event) {
    if (typeof event !== 'object' || event === null || !(#init in event)) {
      throw new codes.ERR_INVALID_THIS('MessageEvent');
    }
    return event.#init;
  }

  get data() { return MessageEvent.#of(this).data; }
  get origin() { return MessageEvent.#of(this).origin; }
  get lastEventId() { return MessageEvent.#of(this).lastEventId; }
  get source() { return MessageEvent.#of(this).source; }
  get ports() { return MessageEvent.#of(this).ports; }
}

function checkListener(value) {
  if (typeof value === 'function' || value == null || typeof value === 'object') return;
  throw new codes.ERR_INVALID_ARG_TYPE('listener', 'EventListener', value);
}

function checkPort(value, name) {
  if (!Port.is(value)) throw new codes.ERR_INVALID_ARG_TYPE(name, 'MessagePort', value);
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
    throw nativeError(
      TypeError, 'ERR_INVALID_ARG_TYPE', `Optional ${name} argument must be an iterable`);
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

// What of a transfer list moves: buffers, and ports with their numbers. A program that changes how
// arrays are gone through changes no message.
function sort(list, source) {
  const transfer = { buffers: [], ports: [], numbers: [] };
  for (let i = 0; i < list.length; i++) {
    const entry = list[i];
    if (entry instanceof ArrayBuffer) {
      if (untransferable.has(entry)) continue;
      if (transfer.buffers.includes(entry)) {
        throw clone.dataCloneError('Transfer list contains duplicate ArrayBuffer');
      }
      transfer.buffers.push(entry);
    } else if (Port.is(entry)) {
      if (untransferable.has(entry)) continue;
      if (entry === source) throw clone.dataCloneError('Transfer list contains source port');
      if (transfer.ports.includes(entry)) {
        throw clone.dataCloneError('Transfer list contains duplicate MessagePort');
      }
      const number = Port.numberOf(entry);
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
  for (let i = 0; i < ports.length; i++) Port.leave(ports[i]);
  return result;
}

// An EventTarget that hears of its first listener for messages and of its last one's end, and that
// has the verbs of an EventEmitter too. A listener that came by `on` gets the data, not the event.
class MessageTarget extends EventTarget {
  // From a type to its listeners: what the program gave, and what the EventTarget has for it.
  #listeners = new Map();
  // The values of `onmessage` and its like.
  #handlers = new Map();
  // The event that is on its way, and what listeners get for it that came by `on`.
  #current = {};

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
    if (type === 'message' && list.length === 1) this[kListened]();
  }

  #remove(type, listener, isCapture, isTold = true) {
    const list = this.#of(type);
    const place =
      list.findIndex((known) => known.listener === listener && known.isCapture === isCapture);
    if (place === -1) return;
    const [record] = list.splice(place, 1);
    super.removeEventListener(type, record.call, isCapture);
    if (type === 'message' && list.length === 0 && isTold) this[kUnlistened]();
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
    checkListener(listener);
    this.#add(type, listener, false, (event) => listener.call(this, this.#argumentOf(event)), false);
    return this;
  }

  addListener(type, listener) { return this.on(type, listener); }

  once(type, listener) {
    checkListener(listener);
    this.#add(type, listener, false, (event) => listener.call(this, this.#argumentOf(event)), true);
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

  // An event that a program has made itself is given to them all.
  #argumentOf(event) {
    return this.#current.event === event ? this.#current.argument : event;
  }

  // Dispatches an event: listeners that came by `on` get the argument in its place.
  _dispatch(event, argument) {
    const before = this.#current;
    this.#current = { event, argument };
    try {
      this.dispatchEvent(event);
    } finally {
      this.#current = before;
    }
  }

  emit(type, argument) {
    const hadListeners = this.#of(type).length > 0;
    const isMessage = type === 'message' || type === 'messageerror';
    const event = isMessage ? new MessageEvent(type, { data: argument }) :
      new CustomEvent(type, { detail: argument });
    this._dispatch(event, argument);
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

// A port. Programs see it as a MessagePort.
class Port extends MessageTarget {
  // The native part's number. Undefined once the port is closed or transferred.
  #number;
  #isStarted = false;
  #isRef = false;

  constructor(number) {
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
    if (error === undefined) this._dispatch(new MessageEvent('message', { data, ports }), data);
    else this._dispatch(new MessageEvent('messageerror', { data: error }), error);
  }

  [kListened]() {
    this.ref();
    this.start();
  }

  // What comes now waits for the next listener.
  [kUnlistened]() {
    this.unref();
    if (this.#number === undefined || !this.#isStarted) return;
    this.#isStarted = false;
    native.stop(this.#number);
  }

  postMessage(value, options) {
    if (arguments.length === 0) {
      throw nativeError(
        TypeError, 'ERR_MISSING_ARGS', 'Not enough arguments to MessagePort.postMessage');
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

clone.setIsPort(Port.is);

// The class of ports as programs see it. It makes none: they come from channels and in messages.
function MessagePort() { throw new codes.ERR_CONSTRUCT_CALL_INVALID(); }
Object.setPrototypeOf(MessagePort, MessageTarget);
Object.defineProperty(MessagePort, 'prototype', { value: Port.prototype, writable: false });
Object.defineProperty(Port.prototype, 'constructor', {
  value: MessagePort, writable: true, configurable: true, enumerable: false,
});

function MessageChannel() {
  if (new.target === undefined) throw new codes.ERR_CONSTRUCT_CALL_REQUIRED();
  const [one, other] = native.channel();
  this.port1 = adopt(one);
  this.port2 = adopt(other);
}

// The object of a port that the native part has opened.
function adopt(number) {
  return new Port(number);
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
      this.emit(error === undefined ? 'message' : 'messageerror', error ?? data);
    });
  }

  static #is(value) {
    return typeof value === 'object' && value !== null && #number in value;
  }

  // Undefined for a channel that is closed, and for what is none.
  static numberOf(channel) {
    return BroadcastChannel.#is(channel) ? channel.#number : undefined;
  }

  static #check(value) {
    if (!BroadcastChannel.#is(value)) throw new codes.ERR_INVALID_THIS('BroadcastChannel');
  }

  [kListened]() {}
  [kUnlistened]() {}

  get name() {
    BroadcastChannel.#check(this);
    return this.#name;
  }

  postMessage(message) {
    BroadcastChannel.#check(this);
    if (arguments.length === 0) throw new codes.ERR_MISSING_ARGS('message');
    if (this.#number === undefined) {
      throw new DOMException('BroadcastChannel is closed.', 'InvalidStateError');
    }
    native.postBroadcast(this.#number, message);
  }

  close() {
    BroadcastChannel.#check(this);
    if (this.#number === undefined) return;
    native.closeBroadcast(this.#number);
    this.#number = undefined;
  }

  ref() {
    BroadcastChannel.#check(this);
    if (this.#number !== undefined) native.setBroadcastRef(this.#number, true);
    return this;
  }

  unref() {
    BroadcastChannel.#check(this);
    if (this.#number !== undefined) native.setBroadcastRef(this.#number, false);
    return this;
  }

  [customInspect](depth, options, inspect) {
    BroadcastChannel.#check(this);
    if (depth !== null && depth < 0) return 'BroadcastChannel';
    const fields = { name: this.#name, active: this.#number !== undefined };
    return `BroadcastChannel ${inspect(fields, options)}`;
  }
}

function receiveMessageOnPort(port) {
  let received;
  const broadcast = BroadcastChannel.numberOf(port);
  if (broadcast !== undefined) {
    received = native.receiveBroadcast(broadcast);
  } else if (Port.is(port)) {
    received = native.receive(Port.numberOf(port) ?? -1);
  } else {
    throw noPort();
  }
  return received === undefined ? undefined : { message: received[0] };
}

// The errors of what is native in Node have no code in their stacks.
function nativeError(Class, code, message) {
  const error = new Class(message);
  error.code = code;
  return error;
}

function noPort() {
  return nativeError(
    TypeError, 'ERR_INVALID_ARG_TYPE', 'The "port" argument must be a MessagePort instance');
}

// There is one context in an engine here.
function moveMessagePortToContext(port) {
  if (!Port.is(port)) throw noPort();
  const number = Port.numberOf(port);
  if (number === undefined || !native.isOpen(number)) {
    throw nativeError(Error, 'ERR_CLOSED_MESSAGE_PORT', 'Cannot send data on closed MessagePort');
  }
  throw new codes.ERR_METHOD_NOT_IMPLEMENTED('moveMessagePortToContext()');
}

function structuredClone(value, options) {
  if (arguments.length === 0) {
    throw nativeError(TypeError, 'ERR_MISSING_ARGS', 'The value argument must be specified');
  }
  if (options !== undefined && typeof options !== 'object' && typeof options !== 'function') {
    throw nativeError(TypeError, 'ERR_INVALID_ARG_TYPE',
      'The options argument must be either an object or undefined');
  }
  const list = transferListOf(options?.transfer);
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
  moveMessagePortToContext,
  receiveMessageOnPort,
  send,
  structuredClone,
  transferListOf,
};
