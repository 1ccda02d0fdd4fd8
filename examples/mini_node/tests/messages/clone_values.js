// Values, and their clones.
class Point {
  constructor() { this.x = 1; }
  get norm() { return 2; }
}
const cycle = { name: 'cycle', list: [] };
cycle.list.push(cycle, cycle.list);
cycle.map = new Map([[cycle, cycle.list]]);
cycle.set = new Set([cycle.map]);

const values = {
  undefined, null: null, yes: true, zero: -0, nan: NaN, big: 2n ** 70n, small: -5n,
  text: 'ein Text', wide: '\u{1f600}', empty: '',
  objects: [Object(1), Object('abc'), Object(true), Object(5n)],
  date: new Date(86400000), noDate: new Date(NaN),
  regexp: /a(b)\/c/giu,
  holes: [1, , 3], long: new Array(5), named: Object.assign([1, 2], { extra: true }),
  bare: Object.assign(Object.create(null), { a: 1 }),
  symbolKey: { [Symbol('gone')]: 1, kept: 2 },
  proto: JSON.parse('{"__proto__": {"a": 1}, "b": 2}'),
  numbers: { 10: 'ten', 2: 'two', b: 'b', a: 'a' },
  point: new Point(),
  nested: new Map([[{ key: 1 }, new Set([new Map([['deep', [new Date(0)]]])])]]),
};
for (const [name, value] of Object.entries(values)) {
  const clone = structuredClone(value);
  console.log(name, clone, Object.is(clone, value));
}
console.log(Object.keys(structuredClone(values.proto)), structuredClone('a\ud800b').charCodeAt(1).toString(16));
console.log(Object.getPrototypeOf(structuredClone(values.point)) === Object.prototype);

const clone = structuredClone(cycle);
console.log(clone !== cycle, clone.list[0] === clone, clone.list[1] === clone.list);
console.log(clone.map.get(clone) === clone.list, clone.set.has(clone.map));

// One object that is met twice is one object in the clone.
const shared = { a: 1 };
const both = structuredClone({ one: shared, two: [shared] });
console.log(both.one === both.two[0]);

// A getter runs, in order, and what it removes is not there.
const log = [];
const active = {
  get first() { log.push('first'); delete this.second; return 1; },
  second: 2,
  get third() { log.push('third'); return { get inner() { log.push('inner'); return 3; } }; },
  get fourth() { log.push('fourth'); return 4; },
};
console.log(structuredClone(active), log.join());

// Errors.
for (const error of [
  new TypeError('a type', { cause: { because: 'of this' } }),
  Object.assign(new RangeError('with properties'), { extra: 1 }),
  new (class Special extends SyntaxError {})('a class'),
  Object.assign(new Error('renamed'), { name: 'EvalError' }),
  Object.assign(new Error('unknown'), { name: 'Unheard' }),
]) {
  const copy = structuredClone(error);
  console.log(copy.name, copy.message, copy instanceof Error, copy.constructor.name,
    copy.extra, copy.cause, typeof copy.stack, Object.keys(copy));
}

// Buffers and views.
const buffer = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]).buffer;
const views = structuredClone({
  buffer,
  bytes: new Uint8Array(buffer, 1, 3),
  clamped: new Uint8ClampedArray(buffer, 2),
  shorts: new Int16Array(buffer, 2, 2),
  doubles: new Float64Array(buffer),
  bigs: new BigUint64Array(buffer),
  view: new DataView(buffer, 3, 2),
});
console.log(views.bytes, views.clamped, views.shorts, views.doubles.length, views.bigs);
console.log(views.view.byteOffset, views.view.byteLength, views.view.getUint8(0));
console.log(Object.values(views).slice(1).every((view) => view.buffer === views.buffer));
const sharedBytes = new Uint8Array(new SharedArrayBuffer(4));
const sameBytes = structuredClone(sharedBytes);
sameBytes[0] = 7;
console.log(sharedBytes[0], sameBytes.buffer instanceof SharedArrayBuffer);
