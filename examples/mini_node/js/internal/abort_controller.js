// AbortController and AbortSignal: how what waits is told that nobody wants it any more.
'use strict';

const { codes } = require('internal/errors');
const { DOMException } = require('internal/dom_exception');
const { Event, EventTarget, defineHandler, initEventTarget } = require('internal/event_target');
const { customInspect } = require('internal/symbols');
const { setTimeout } = require('timers');
const { validateArray, validateUint32 } = require('internal/validators');

const kAborted = Symbol('kAborted');
const kReason = Symbol('kReason');
const kSources = Symbol('kSources');
const kDependants = Symbol('kDependants');

class AbortSignal extends EventTarget {
  constructor() { throw new codes.ERR_ILLEGAL_CONSTRUCTOR(); }

  get aborted() {
    check(this);
    return !!this[kAborted];
  }

  get reason() {
    check(this);
    return this[kReason];
  }

  throwIfAborted() {
    check(this);
    if (this[kAborted]) throw this[kReason];
  }

  [customInspect](depth, options, inspect) {
    if (depth !== null && depth < 0) return 'AbortSignal';
    return `AbortSignal ${inspect({ aborted: this.aborted }, options)}`;
  }

  static abort(reason = new DOMException('This operation was aborted', 'AbortError')) {
    const signal = create();
    signal[kAborted] = true;
    signal[kReason] = reason;
    return signal;
  }

  static timeout(delay) {
    validateUint32(delay, 'delay', false);
    const signal = create();
    // It holds nothing: a program that waits for nothing else is over.
    setTimeout(() => {
      abort(signal, new DOMException('The operation was aborted due to timeout', 'TimeoutError'));
    }, delay).unref();
    return signal;
  }

  static any(signals) {
    validateArray(signals, 'signals');
    const result = create();
    signals.forEach((signal, index) => {
      if (signal?.[kSources] === undefined) throw new codes.ERR_INVALID_ARG_TYPE(`signals[${index}]`, 'AbortSignal', signal);
    });
    for (const signal of signals) {
      if (signal.aborted) {
        result[kAborted] = true;
        result[kReason] = signal.reason;
        return result;
      }
    }
    for (const signal of signals) {
      for (const source of signal[kSources].size > 0 ? signal[kSources] : [signal]) {
        source[kDependants].add(result);
        result[kSources].add(source);
      }
    }
    return result;
  }
}

function check(signal) {
  if (signal?.[kSources] === undefined) throw new codes.ERR_INVALID_THIS('AbortSignal');
}

function create() {
  const signal = Object.create(AbortSignal.prototype);
  initEventTarget(signal);
  for (const [key, value] of [[kAborted, false], [kReason, undefined], [kSources, new Set()], [kDependants, new Set()]]) {
    Object.defineProperty(signal, key, { value, writable: true });
  }
  return signal;
}

// First all that depend on it are aborted, then listeners are told.
function abort(signal, reason) {
  if (signal[kAborted]) return;
  const dependants = [...signal[kDependants]].filter((one) => !one[kAborted]);
  for (const one of [signal, ...dependants]) {
    one[kAborted] = true;
    one[kReason] = reason;
  }
  for (const one of [signal, ...dependants]) one.dispatchEvent(new Event('abort'));
}

defineHandler(AbortSignal.prototype, 'abort');
Object.defineProperty(AbortSignal.prototype, Symbol.toStringTag, { value: 'AbortSignal', configurable: true });
for (const name of ['aborted', 'reason', 'throwIfAborted']) {
  Object.defineProperty(AbortSignal.prototype, name, { enumerable: true });
}

class AbortController {
  #signal;

  get signal() { return this.#signal ??= create(); }

  abort(reason = new DOMException('This operation was aborted', 'AbortError')) {
    abort(this.#signal ??= create(), reason);
  }

  [customInspect](depth, options, inspect) {
    if (depth !== null && depth < 0) return 'AbortController';
    return `AbortController ${inspect({ signal: this.signal }, options)}`;
  }
}
Object.defineProperty(AbortController.prototype, Symbol.toStringTag, { value: 'AbortController', configurable: true });
for (const name of ['signal', 'abort']) Object.defineProperty(AbortController.prototype, name, { enumerable: true });

module.exports = { AbortController, AbortSignal };
