// A stack is a property of the error itself, the first one; its text is made when it is first asked for.
const first = (value) => (typeof value === 'string' ? value.split('\n')[0] : value);
const error = Object.assign(new Error('boom', { cause: 1 }), { code: 'E' });
console.log(Object.hasOwn(error, 'stack'), Object.getOwnPropertyNames(error), Object.keys(error), { ...error });
console.log(first(JSON.parse(JSON.stringify(error, Object.getOwnPropertyNames(error))).stack));
try { null.x; } catch (made) { console.log(Object.getOwnPropertyNames(made)); }
console.log(first(error.stack), { ...Object.getOwnPropertyDescriptor(error, 'stack'), value: 0 });

// Who inherits from an error has its stack, and an assignment makes one of its own.
const heir = Object.create(new Error('parent'));
console.log(first(heir.stack), Object.hasOwn(heir, 'stack'), first(new Proxy(new Error('p'), {}).stack));
heir.stack = 'mine';
console.log(heir.stack, Object.keys(heir), first(Object.getPrototypeOf(heir).stack));
class Getter extends Error { get stack() { return 'of the class'; } }
class Field extends Error { stack = 'field'; }
console.log(first(new Getter('g').stack), new Field('f').stack, Object.keys(new Field('f')));
const copy = Object.defineProperties({}, Object.getOwnPropertyDescriptors(error));
console.log(first(copy.stack), Object.getOwnPropertyNames(copy));

// It can be taken away, changed, and frozen.
const bare = new Error('bare');
console.log(delete bare.stack, bare.stack, Object.getOwnPropertyNames(bare));
const set = Object.assign(new Error('s'), { stack: 'set' });
console.log(set.stack, Object.keys(set));
const frozen = Object.freeze(new Error('frozen'));
console.log(first(frozen.stack), first(frozen.stack), Object.isFrozen(frozen));
const limit = Error.stackTraceLimit;
Error.stackTraceLimit = 0;
console.log(new Error('no frames').stack);
Error.stackTraceLimit = limit;

// What is captured has the name that it gets behind it.
class Captured extends Error { constructor(text) { super(text); Error.captureStackTrace(this, Captured); this.name = 'C'; } }
console.log(first(new Captured('m').stack), Object.getOwnPropertyNames(new Captured('m')));
const target = {};
Error.captureStackTrace(target);
target.name = 'later';
console.log(first(target.stack), Object.keys(target));
try { Error.captureStackTrace(Object.freeze({})); } catch ({ name }) { console.log(name); }
