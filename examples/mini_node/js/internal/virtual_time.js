// In virtual time the program's Date is the loop's, and Math.random the same in each run.
'use strict';

const { seed, wall } = internalBinding('clock');

function install() {
  if (seed === undefined) return;
  const Machine = Date;
  const now = () => wall();
  const Virtual = new Proxy(Machine, {
    apply: () => new Machine(wall()).toString(),
    construct: (target, args, made) => Reflect.construct(target, args.length ? args : [wall()], made),
    get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
  });
  Machine.prototype.constructor = Virtual;
  Object.defineProperty(globalThis, 'Date', { value: Virtual, configurable: true, writable: true });
  let state = seed;
  // A sum of steps, mixed: good enough for a program that throws dice.
  Math.random = () => {
    state = (state + 0x9e3779b9) | 0;
    let bits = state ^ (state >>> 16);
    bits = Math.imul(bits, 0x21f0aaad);
    bits ^= bits >>> 15;
    bits = Math.imul(bits, 0x735a2d97);
    bits ^= bits >>> 15;
    return (bits >>> 0) / 2 ** 32;
  };
}

module.exports = { install };
