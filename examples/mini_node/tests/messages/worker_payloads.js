// What a parent gets of what its worker has thrown: its clone, else a text of it.
const { Worker } = require('worker_threads');
const { inspect } = require('util');

const scripts = [
  'throw () => {}', 'throw Symbol("name")', 'throw new Proxy({}, {})', 'throw { get a() { throw 1; } }',
  'throw { a: [1, new Map([[1, 2]])] }', 'throw "text"', 'throw undefined', 'throw 10n',
  'throw Promise.resolve(1)', 'throw new WeakMap()', 'Promise.reject({ a: 1 })', 'Promise.reject(7)',
  'class My extends Error { constructor(m) { super(m); this.name = "My"; this.k = 1; } } throw new My("mine")',
  'throw Object.assign(new RangeError("x"), { code: "CODE", extra: { a: 1 }, f() {} })',
  'throw new Error("outer", { cause: new TypeError("inner", { cause: "deep" }) })',
];

(async () => {
  for (const script of scripts) {
    const worker = new Worker(script, { eval: true });
    worker.on('error', (error) => {
      const isError = error instanceof Error;
      console.log(typeof error, isError, isError ? `${error}` : inspect(error));
      if (isError) console.log(Object.keys(error), error.code, error.k, String(error.cause), String(error.cause?.cause));
    });
    console.log(script.slice(0, 40), await new Promise((resolve) => worker.on('exit', resolve)));
  }
})();
