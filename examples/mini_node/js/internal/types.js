// What kind of object a value is, whatever its prototype says.
'use strict';

const native = internalBinding('util');

const isObject = (value) => typeof value === 'object' && value !== null;

// Whether a method of a class, or a getter of its prototype, accepts the value as its own.
function accepts(method, ...args) {
  return (value) => {
    if (!isObject(value)) return false;
    try {
      Reflect.apply(method, value, args);
      return true;
    } catch {
      return false;
    }
  };
}

const getter = (prototype, name) => Object.getOwnPropertyDescriptor(prototype, name).get;
const typedTag = getter(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag);
const typedName = (value) => (isObject(value) ? typedTag.call(value) : undefined);
const toText = (value) => Object.prototype.toString.call(value);
const prototypeOf = Object.getPrototypeOf;
const mapIterator = prototypeOf(new Map().entries());
const setIterator = prototypeOf(new Set().values());
const generator = prototypeOf(function* () {}.prototype);
const isGeneratorSource = /^(async\s+)?(function\s*\*|\*|async\s*\*)/;
const sourceOf = (value) => Function.prototype.toString.call(value);
const AsyncFunction = prototypeOf(async () => {});
const GeneratorFunction = prototypeOf(function* () {});
const AsyncGeneratorFunction = prototypeOf(async function* () {});
const chain = (value, prototype) => {
  for (let one = value; one !== null; one = prototypeOf(one)) if (one === prototype) return true;
  return false;
};

const types = {
  isAnyArrayBuffer: (value) => types.isArrayBuffer(value) || types.isSharedArrayBuffer(value),
  isArgumentsObject: (value) => isObject(value) && !(Symbol.toStringTag in value) && toText(value) === '[object Arguments]',
  isArrayBuffer: accepts(getter(ArrayBuffer.prototype, 'byteLength')),
  isArrayBufferView: ArrayBuffer.isView,
  isAsyncFunction: (value) => typeof value === 'function' && (chain(value, AsyncFunction) || chain(value, AsyncGeneratorFunction)),
  isBigIntObject: accepts(BigInt.prototype.valueOf),
  isBooleanObject: accepts(Boolean.prototype.valueOf),
  isBoxedPrimitive: (value) => types.isNumberObject(value) || types.isStringObject(value) ||
    types.isBooleanObject(value) || types.isBigIntObject(value) || types.isSymbolObject(value),
  isDataView: (value) => ArrayBuffer.isView(value) && typedName(value) === undefined,
  isDate: accepts(Date.prototype.getTime),
  isExternal: () => false,
  isGeneratorFunction: (value) => typeof value === 'function' &&
    (chain(value, GeneratorFunction) || chain(value, AsyncGeneratorFunction) || isGeneratorSource.test(sourceOf(value))),
  isGeneratorObject: (value) => isObject(value) && chain(value, generator) && value !== generator,
  isMap: accepts(getter(Map.prototype, 'size')),
  isMapIterator: (value) => isObject(value) && prototypeOf(value) === mapIterator,
  isModuleNamespaceObject: (value) => isObject(value) && prototypeOf(value) === null && toText(value) === '[object Module]',
  isNativeError: (value) => isObject(value) && native.isError(value),
  isNumberObject: accepts(Number.prototype.valueOf),
  isPromise: (value) => isObject(value) && native.isPromise(value),
  isProxy: (value) => (isObject(value) || typeof value === 'function') && native.isProxy(value),
  isRegExp: (value) => isObject(value) && !native.isProxy(value) && isRegExp(value),
  isSet: accepts(getter(Set.prototype, 'size')),
  isSetIterator: (value) => isObject(value) && prototypeOf(value) === setIterator,
  isSharedArrayBuffer: typeof SharedArrayBuffer === 'undefined' ? () => false :
    accepts(getter(SharedArrayBuffer.prototype, 'byteLength')),
  isStringObject: accepts(String.prototype.valueOf),
  isSymbolObject: accepts(Symbol.prototype.valueOf),
  isTypedArray: (value) => typedName(value) !== undefined,
  isWeakMap: accepts(WeakMap.prototype.has, {}),
  isWeakRef: typeof WeakRef === 'undefined' ? () => false : accepts(WeakRef.prototype.deref),
  isWeakSet: accepts(WeakSet.prototype.has, {}),
};

function isRegExp(value) {
  try {
    getter(RegExp.prototype, 'source').call(value);
    return value !== RegExp.prototype;
  } catch {
    return false;
  }
}

for (const name of ['Uint8Array', 'Uint8ClampedArray', 'Uint16Array', 'Uint32Array', 'Int8Array', 'Int16Array',
  'Int32Array', 'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array']) {
  types[`is${name}`] = (value) => typedName(value) === name;
}

module.exports = types;
