// Promise.any in the order of the standard, and what it rejects with.
const shown = (value) => (value instanceof AggregateError ? [value.message, value.errors] :
  value instanceof Error ? value.name : value);
const say = (name) => (value) => console.log(name, shown(value));
const any = (name, list) => Promise.any(list).then(say(`${name} fulfilled`), say(`${name} rejected`));
any('none', []);
any('all rejected', [Promise.reject(1), Promise.reject(2), { then(resolve, reject) { reject(3); reject(4); } }]);
any('one', [Promise.reject(1), 2, Promise.resolve(3)]);
any('late', [new Promise((resolve) => setTimeout(resolve, 1, 'late')), Promise.reject(1)]);
any('no list', 5);
any('throws', { * [Symbol.iterator]() { try { yield 1; throw new Error('not reached'); } finally { console.log('closed'); } } });
for (let step = 1; step < 6; step++) Promise.resolve().then(() => console.log('in between'));
class Own extends Promise {}
console.log(Promise.any.length, Promise.any.name, Own.any([1]) instanceof Own, Object.getOwnPropertyDescriptor(Promise, 'any').enumerable);
try { Promise.any.call(undefined, []); } catch (error) { console.log(error.name); }
Promise.any([]).catch((error) => console.log(error, Object.keys(error), error.stack));
