// Atomics.wait and Atomics.notify, which are native: src/binding/atomics.rs says why. The engine's
// own look at the arguments, for they wait for no time and wake nobody.
'use strict';

const native = internalBinding('atomics');

const { notify: checkNotify, wait: checkWait } = Atomics;

const functions = {
  wait(array, index, value, timeout) {
    const isBig = array instanceof BigInt64Array;
    const at = toIndex(index);
    const expected = isBig ? BigInt.asIntN(64, BigInt(value)) : value | 0;
    const time = timeout === undefined ? Infinity : +timeout;
    const found = checkWait(array, at, expected, 0);
    if (found === 'not-equal' || time <= 0) return found;
    const limit = Number.isNaN(time) ? Infinity : time;
    const size = array.BYTES_PER_ELEMENT;
    return native.wait(array.buffer, offsetOf(array, at), size, `${expected}`, limit);
  },

  notify(array, index, count) {
    const at = toIndex(index);
    const most = count === undefined ? Infinity : Math.max(0, Math.trunc(+count) || 0);
    checkNotify(array, at, most);
    return array.buffer instanceof SharedArrayBuffer ?
      native.notify(array.buffer, offsetOf(array, at), most) : 0;
  },
};

const toIndex = (index) => (index === undefined ? 0 : Math.trunc(+index) || 0);
const offsetOf = (array, at) => array.byteOffset + at * array.BYTES_PER_ELEMENT;

function install() {
  for (const [name, length] of [['wait', 4], ['notify', 3]]) {
    Object.defineProperty(functions[name], 'length', { value: length, configurable: true });
    Object.defineProperty(Atomics, name, {
      value: functions[name], configurable: true, enumerable: false, writable: true,
    });
  }
}

module.exports = { install };
