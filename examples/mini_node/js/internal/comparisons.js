// Whether two values are deeply equal: strictly, as `assert.deepStrictEqual`, or by `==`.
'use strict';

const types = require('internal/types');

const isObject = (value) => typeof value === 'object' && value !== null;

function isDeepEqual(left, right, isStrict, memo = undefined) {
  if (left === right) return left !== 0 || !isStrict || Object.is(left, right);
  if (isStrict) {
    if (!isObject(left)) return typeof left === 'number' && Number.isNaN(left) && Number.isNaN(right);
    if (!isObject(right)) return false;
    if (Object.getPrototypeOf(left) !== Object.getPrototypeOf(right)) return false;
  } else {
    if (!isObject(left)) {
      // eslint-disable-next-line eqeqeq
      return !isObject(right) && (left == right || (Number.isNaN(left) && Number.isNaN(right)));
    }
    if (!isObject(right)) return false;
  }
  if (Object.prototype.toString.call(left) !== Object.prototype.toString.call(right)) return false;
  return areObjectsEqual(left, right, isStrict, memo);
}

const own = (value, isStrict) => {
  const keys = Object.keys(value);
  if (!isStrict) return keys;
  const symbols = Object.getOwnPropertySymbols(value);
  return [...keys, ...symbols.filter((key) => Object.prototype.propertyIsEnumerable.call(value, key))];
};

function areObjectsEqual(left, right, isStrict, memo) {
  if (Array.isArray(left)) {
    if (!Array.isArray(right) || left.length !== right.length) return false;
  } else if (Array.isArray(right)) {
    return false;
  } else if (types.isDate(left)) {
    if (!types.isDate(right) ||
        Date.prototype.getTime.call(left) !== Date.prototype.getTime.call(right)) return false;
  } else if (types.isRegExp(left)) {
    if (!types.isRegExp(right) || left.source !== right.source || left.flags !== right.flags ||
        left.lastIndex !== right.lastIndex) return false;
  } else if (types.isNativeError(left) || left instanceof Error) {
    if ((!types.isNativeError(right) && !(right instanceof Error)) ||
        left.message !== right.message || left.name !== right.name) return false;
    for (const key of ['cause', 'errors']) {
      if (Object.hasOwn(left, key) !== Object.hasOwn(right, key)) return false;
      if (Object.hasOwn(left, key) && !isDeepEqual(left[key], right[key], isStrict, memo)) return false;
    }
  } else if (types.isTypedArray(left)) {
    if (!areBytesEqual(left, right, isStrict)) return false;
  } else if (types.isDataView(left)) {
    if (!types.isDataView(right) || !areBuffersEqual(bytesOf(left), bytesOf(right))) return false;
  } else if (types.isAnyArrayBuffer(left)) {
    if (!types.isAnyArrayBuffer(right) || !areBuffersEqual(new Uint8Array(left), new Uint8Array(right))) return false;
  } else if (types.isBoxedPrimitive(left)) {
    if (!types.isBoxedPrimitive(right) || typeof left.valueOf() !== typeof right.valueOf() ||
        !Object.is(left.valueOf(), right.valueOf())) return false;
  } else if (types.isSet(left)) {
    if (!types.isSet(right) || left.size !== right.size) return false;
  } else if (types.isMap(left)) {
    if (!types.isMap(right) || left.size !== right.size) return false;
  } else if (types.isSet(right) || types.isMap(right) || types.isDate(right) || types.isRegExp(right) ||
             types.isBoxedPrimitive(right) || types.isNativeError(right) || types.isAnyArrayBuffer(right)) {
    return false;
  } else if (types.isWeakMap(left) || types.isWeakSet(left) || types.isPromise(left)) {
    return false; // Nobody sees into them.
  }
  return areContentsEqual(left, right, isStrict, memo);
}

function bytesOf(view) {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function areBytesEqual(left, right, isStrict) {
  if (!types.isTypedArray(right) || left.length !== right.length) return false;
  const isFloat = left instanceof Float32Array || left instanceof Float64Array;
  if (isStrict || !isFloat) return areBuffersEqual(bytesOf(left), bytesOf(right));
  return left.every((value, index) => value === right[index]);
}

function areBuffersEqual(left, right) {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

function areContentsEqual(left, right, isStrict, memo) {
  const isList = Array.isArray(left) || types.isTypedArray(left);
  const keys = types.isTypedArray(left) ? own(left, isStrict).filter((key) => !/^\d+$/.test(String(key))) : own(left, isStrict);
  const others = types.isTypedArray(left) ? own(right, isStrict).filter((key) => !/^\d+$/.test(String(key))) : own(right, isStrict);
  if (keys.length !== others.length) return false;
  for (const key of keys) if (!Object.hasOwn(right, key)) return false;

  // Cycles: a pair that is being compared already counts as equal.
  memo ??= { left: new Map(), right: new Map(), depth: 0 };
  const seen = memo.left.get(left);
  if (seen !== undefined) {
    const other = memo.right.get(right);
    if (other !== undefined) return seen === other;
  }
  memo.depth++;
  memo.left.set(left, memo.depth);
  memo.right.set(right, memo.depth);
  let equal = true;
  if (types.isSet(left)) equal = areSetsEqual(left, right, isStrict, memo);
  else if (types.isMap(left)) equal = areMapsEqual(left, right, isStrict, memo);
  else if (isList && !types.isTypedArray(left)) equal = haveSameHoles(left, right);
  equal &&= keys.every((key) => isDeepEqual(left[key], right[key], isStrict, memo));
  memo.left.delete(left);
  memo.right.delete(right);
  return equal;
}

function haveSameHoles(left, right) {
  for (let index = 0; index < left.length; index++) {
    if (Object.hasOwn(left, index) !== Object.hasOwn(right, index)) return false;
  }
  return true;
}

function areSetsEqual(left, right, isStrict, memo) {
  const rest = [];
  const candidates = new Set(right);
  for (const value of left) {
    if (candidates.has(value)) candidates.delete(value);
    else if (isStrict && !isObject(value)) return false;
    else rest.push(value);
  }
  return rest.every((value) => takeEqual(candidates, (other) => isDeepEqual(value, other, isStrict, memo)));
}

function areMapsEqual(left, right, isStrict, memo) {
  const rest = [];
  const candidates = new Map(right);
  for (const [key, value] of left) {
    if (!isObject(key) && candidates.has(key) && isDeepEqual(value, candidates.get(key), isStrict, memo)) candidates.delete(key);
    else if (isStrict && !isObject(key)) return false;
    else rest.push([key, value]);
  }
  return rest.every(([key, value]) => takeEqual(candidates.entries(), ([otherKey, other]) =>
    isDeepEqual(key, otherKey, isStrict, memo) && isDeepEqual(value, other, isStrict, memo), candidates));
}

// Takes the first candidate that is equal. Says whether there was one.
function takeEqual(entries, isEqual, map = undefined) {
  for (const entry of entries) {
    if (isEqual(entry)) {
      if (map === undefined) entries.delete(entry);
      else map.delete(entry[0]);
      return true;
    }
  }
  return false;
}

module.exports = {
  isDeepEqual: (left, right) => isDeepEqual(left, right, false),
  isDeepStrictEqual: (left, right) => isDeepEqual(left, right, true),
};
