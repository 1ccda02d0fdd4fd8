throw 1;
====
throw 'text';
====
throw null;
====
throw undefined;
====
throw '';
====
throw 10n;
====
throw { a: 1 };
====
throw [1, 2];
====
throw () => {};
====
throw Object.create(null);
====
throw new Map([[1, 2]]);
====
throw { toString() { throw 1; } };
====
throw { message: 'm', stack: 's' };
====
throw new DOMException('aborted', 'AbortError');
====
setTimeout(() => { throw 1; });
====
process.nextTick(() => { throw { a: 1 }; });
====
function inner() { throw 'inner'; }
function outer() { inner(); }
outer();
====
function inner() {
  undeclared;
}
function outer() {
  inner();
}
outer();
====
throw Object.assign(new Error('x'), { name: 'Custom' });
====
class MyError extends Error {
  constructor(message) {
    super(message);
    this.name = 'MyError';
    this.value = 5;
  }
}
throw new MyError('mine');
====
const error = new Error('x');
error.stack = undefined;
throw error;
====
const error = new Error('x');
error.message = 'changed';
throw error;
====
const error = new Error('made in one line');
throw error;
====
function make() {
  return new Error('made elsewhere');
}
throw make();
====
try {
  throw new Error('first');
} catch (error) {
  throw error;
}
====
try {
  throw new Error('first');
} finally {
  process.on('exit', () => {});
}
====
(async () => { throw 7; })().catch(() => {});
(async () => { throw new Error('taken'); })().catch(() => {});
setTimeout(() => {
  throw 8;
});
====
Promise.reject(new Error('rejected'));
====
const error = new Error('made before');
setTimeout(() => Promise.reject(error));
====
function f(
====
for (;;
====
function f() {
  return 1;
====
return 1; }
====
}
====
if (true) {
}
}
console.log('behind');
====
foo bar
====
let a = 1 2;
====
const text = 'unterminated
====
class C extends Error { constructor(m) { super(m); Error.captureStackTrace(this, this.constructor); this.name = 'C'; } }
throw new C('m');
====
++1
====
++1;
foo();
====
try { }
====
foo();
try { foo(); }
foo();
====
x = /(/;
