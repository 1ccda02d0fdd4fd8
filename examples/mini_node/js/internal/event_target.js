// EventTarget and Event, as of the web, without a tree of targets.
'use strict';

const { uptime } = internalBinding('process');
const { codes } = require('internal/errors');
const { customInspect } = require('internal/symbols');
const { validateAbortSignal, validateObject } = require('internal/validators');

const kTarget = Symbol('kTarget');
const kStop = Symbol('kStop');
const kDispatching = Symbol('kIsBeingDispatched');
const kListeners = Symbol('kEvents');
const kMaxListeners = Symbol('events.maxEventTargetListeners');
const kHandlers = Symbol('kHandlers');

class Event {
  #type;
  #bubbles;
  #cancelable;
  #composed;
  #isDefaultPrevented = false;
  #isPropagationStopped = false;
  #timeStamp = uptime() * 1000;

  constructor(type, options = undefined) {
    if (arguments.length === 0) throw new codes.ERR_MISSING_ARGS('type');
    if (options != null) validateObject(options, 'options');
    this.#type = `${type}`;
    this.#bubbles = !!options?.bubbles;
    this.#cancelable = !!options?.cancelable;
    this.#composed = !!options?.composed;
    for (const key of [kTarget, kStop, kDispatching]) {
      Object.defineProperty(this, key, { value: key === kTarget ? null : false, writable: true });
    }
  }

  // What of this class is called of anything else says so.
  static #of(event) {
    if (typeof event !== 'object' || event === null || !(#type in event)) {
      throw new codes.ERR_INVALID_THIS('Event');
    }
    return event;
  }

  [customInspect](depth, options, inspect) {
    const event = Event.#of(this);
    const name = event.constructor.name;
    if (depth !== null && depth < 0) return name;
    return `${name} ${inspect({
      type: event.#type,
      defaultPrevented: event.defaultPrevented,
      cancelable: event.#cancelable,
      timeStamp: event.#timeStamp,
    }, { ...options, depth: options.depth === null ? null : options.depth - 1 })}`;
  }

  get type() { return Event.#of(this).#type; }
  get target() { return Event.#of(this)[kTarget]; }
  get currentTarget() { return Event.#of(this)[kDispatching] ? this[kTarget] : null; }
  get srcElement() { return Event.#of(this)[kTarget]; }
  get bubbles() { return Event.#of(this).#bubbles; }
  get cancelable() { return Event.#of(this).#cancelable; }
  get composed() { return Event.#of(this).#composed; }
  get defaultPrevented() { return Event.#of(this).#cancelable && this.#isDefaultPrevented; }
  get returnValue() { return !Event.#of(this).defaultPrevented; }
  get timeStamp() { return Event.#of(this).#timeStamp; }
  get eventPhase() { return Event.#of(this)[kDispatching] ? Event.AT_TARGET : Event.NONE; }
  get isTrusted() {
    Event.#of(this);
    return false;
  }
  get cancelBubble() { return Event.#of(this).#isPropagationStopped; }
  set cancelBubble(value) { if (value) Event.#of(this).#isPropagationStopped = true; }

  composedPath() { return Event.#of(this)[kDispatching] ? [this[kTarget]] : []; }
  preventDefault() { Event.#of(this).#isDefaultPrevented = true; }
  stopPropagation() { Event.#of(this).#isPropagationStopped = true; }
  stopImmediatePropagation() { Event.#of(this)[kStop] = true; }
}

for (const [name, value] of [['NONE', 0], ['CAPTURING_PHASE', 1], ['AT_TARGET', 2], ['BUBBLING_PHASE', 3]]) {
  Object.defineProperty(Event, name, { value, enumerable: true });
}
Object.defineProperty(Event.prototype, Symbol.toStringTag, { value: 'Event', configurable: true });

class CustomEvent extends Event {
  #detail;

  constructor(type, options = undefined) {
    super(type, options);
    this.#detail = options?.detail ?? null;
  }

  get detail() {
    if (typeof this !== 'object' || this === null || !(#detail in this)) {
      throw new codes.ERR_INVALID_THIS('CustomEvent');
    }
    return this.#detail;
  }
}
Object.defineProperty(CustomEvent.prototype, Symbol.toStringTag, { value: 'CustomEvent', configurable: true });

function initEventTarget(target) {
  Object.defineProperty(target, kListeners, { value: new Map(), writable: true });
  Object.defineProperty(target, kMaxListeners, { value: undefined, writable: true });
}

function check(target) {
  if (target?.[kListeners] === undefined) throw new codes.ERR_INVALID_THIS('EventTarget');
}

function isListener(listener) {
  if (typeof listener === 'function' || (typeof listener === 'object' && listener !== null)) return true;
  if (listener == null) return false;
  throw new codes.ERR_INVALID_ARG_TYPE('listener', 'EventListener', listener);
}

const captureOf = (options) => (typeof options === 'boolean' ? options : !!options?.capture);

class EventTarget {
  constructor() { initEventTarget(this); }

  addEventListener(type, listener, options = {}) {
    check(this);
    if (arguments.length < 2) throw new codes.ERR_MISSING_ARGS('type', 'listener');
    const capture = captureOf(options);
    const { once = false, passive = false, signal } = typeof options === 'object' && options !== null ? options : {};
    if (options?.signal !== undefined) validateAbortSignal(signal, 'options.signal');
    if (!isListener(listener)) {
      const warning = new Error(`addEventListener called with ${listener} which has no effect.`);
      warning.name = 'AddEventListenerArgumentTypeWarning';
      warning.target = this;
      warning.type = type;
      process.emitWarning(warning);
      return;
    }
    if (signal?.aborted) return;
    type = `${type}`;
    const list = this[kListeners].get(type) ?? [];
    if (list.some((one) => one.listener === listener && one.capture === capture)) return;
    this[kListeners].set(type, [...list, { listener, capture, once: !!once, passive: !!passive, isRemoved: false }]);
    signal?.addEventListener('abort', () => this.removeEventListener(type, listener, options), { once: true });
    this[EventTarget.added]?.(type, list.length + 1);
    warnOfLeak(this, type, list.length + 1);
  }

  removeEventListener(type, listener, options = {}) {
    check(this);
    if (arguments.length < 2) throw new codes.ERR_MISSING_ARGS('type', 'listener');
    if (!isListener(listener)) return;
    type = `${type}`;
    const capture = captureOf(options);
    const list = this[kListeners].get(type) ?? [];
    const found = list.find((one) => one.listener === listener && one.capture === capture);
    if (found !== undefined) forget(this, type, found);
  }

  dispatchEvent(event) {
    check(this);
    if (arguments.length === 0) throw new codes.ERR_MISSING_ARGS('event');
    if (!(event instanceof Event)) throw new codes.ERR_INVALID_ARG_TYPE('event', 'Event', event);
    if (event[kDispatching]) throw new codes.ERR_EVENT_RECURSION(event.type);
    dispatch(this, event, event.type);
    return !event.defaultPrevented;
  }

  [customInspect](depth, options, inspect) {
    const name = this.constructor.name;
    if (depth !== null && depth < 0) return name;
    return `${name} ${inspect({}, { ...options, depth: options.depth === null ? null : options.depth - 1 })}`;
  }
}
Object.defineProperty(EventTarget.prototype, Symbol.toStringTag, { value: 'EventTarget', configurable: true });
for (const name of ['addEventListener', 'removeEventListener', 'dispatchEvent']) {
  Object.defineProperty(EventTarget.prototype, name, { enumerable: true });
}

// What a class that extends EventTarget has as methods, to hear of its listeners.
EventTarget.added = Symbol('kNewListener');
EventTarget.removed = Symbol('kRemoveListener');
for (const name of ['added', 'removed']) Object.defineProperty(EventTarget, name, { enumerable: false });

function forget(target, type, entry) {
  const before = target[kListeners].get(type) ?? [];
  entry.isRemoved = true;
  entry.next = before[before.indexOf(entry) + 1];
  const left = before.filter((one) => one !== entry);
  if (left.length > 0) target[kListeners].set(type, left);
  else target[kListeners].delete(type);
  target[EventTarget.removed]?.(type, left.length);
}

function warnOfLeak(target, type, count) {
  const limit = target[kMaxListeners] ?? require('events').defaultMaxListeners;
  if (limit === 0 || count <= limit || target[kListeners].get(type).hasWarned) return;
  target[kListeners].get(type).hasWarned = true;
  const { inspect } = require('internal/inspect');
  const warning = new Error('Possible EventTarget memory leak detected. ' +
    `${count} ${type} listeners added to ${inspect(target, { depth: -1 })}. ` +
    `MaxListeners is ${limit}. Use events.setMaxListeners() to increase limit`);
  warning.name = 'MaxListenersExceededWarning';
  warning.target = target;
  warning.type = type;
  warning.count = count;
  process.emitWarning(warning);
}

// Calls the listeners in order. As in Node, which goes along a list, one that is added meanwhile is
// called too, unless the last one adds it. What one throws is uncaught, from a tick, and the next
// follows.
function dispatch(target, event, type) {
  event[kTarget] = target;
  event[kDispatching] = true;
  let next;
  for (let entry = target[kListeners].get(type)?.[0]; entry !== undefined; entry = next) {
    next = entry.isRemoved ? entry.next : after(target[kListeners].get(type), entry);
    if (entry.isRemoved) continue;
    if (event[kStop]) break;
    if (entry.once) forget(target, type, entry);
    try {
      const { listener } = entry;
      let result;
      if (typeof listener === 'function') result = listener.call(target, event);
      else if (typeof listener.handleEvent === 'function') result = listener.handleEvent(event);
      if (result !== undefined && result !== null) result.then?.(undefined, throwLater);
    } catch (error) {
      throwLater(error);
    }
  }
  event[kDispatching] = false;
}

function after(list, entry) {
  return list[list.indexOf(entry) + 1];
}

function throwLater(error) {
  process.nextTick(() => { throw error; });
}

// A property such as `onabort`, which is a listener among the others.
function defineHandler(prototype, name) {
  Object.defineProperty(prototype, `on${name}`, {
    configurable: true,
    enumerable: true,
    get() { return this[kHandlers]?.get(name)?.handler ?? null; },
    set(handler) {
      this[kHandlers] ?? Object.defineProperty(this, kHandlers, { value: new Map() });
      let wrapper = this[kHandlers].get(name);
      const isUsable = typeof handler === 'function' || (typeof handler === 'object' && handler !== null);
      if (wrapper !== undefined && !isUsable) {
        this.removeEventListener(name, wrapper);
        this[kHandlers].delete(name);
      } else if (wrapper !== undefined) {
        wrapper.handler = handler;
      } else if (isUsable) {
        wrapper = function(event) {
          return typeof wrapper.handler === 'function' ? wrapper.handler.call(this, event) : undefined;
        };
        wrapper.handler = handler;
        this[kHandlers].set(name, wrapper);
        this.addEventListener(name, wrapper);
      }
    },
  });
}

module.exports = {
  CustomEvent,
  Event,
  EventTarget,
  defineHandler,
  initEventTarget,
  listenersOf(target, type) {
    if (target?.[kListeners] === undefined) return undefined;
    return (target[kListeners].get(`${type}`) ?? []).map((one) => one.listener);
  },
  maxListenersOf(target) {
    if (target?.[kListeners] === undefined) return undefined;
    return target[kMaxListeners] ?? require('events').defaultMaxListeners;
  },
  setMaxListenersOf(target, n) {
    if (target?.[kListeners] === undefined) return false;
    target[kMaxListeners] = n;
    return true;
  },
};
