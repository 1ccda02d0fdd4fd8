'use strict';
// The engine's errors have V8's words where the engine tells enough.
const tries = [() => null.foo, () => undefined.foo, () => { const a = undefined; a.b = 1; }, () => { nope; }, () => { const c = 1; c = 2; }, () => { d; let d; },
  () => new Array(-1), () => Symbol() + '', () => 1n + 1, () => [].reduce((a) => a), () => decodeURIComponent('%'), () => { ({}).x.y = 1; }, () => (function f() { f(); })()];
for (const f of tries) { try { f(); } catch (e) { console.log(`${e.name}: ${e.message}`); } }
console.log(new Error('made').stack.split('\n')[0], new (class Own extends Error {})('x').stack.split('\n')[0]);
const target = {}; Error.captureStackTrace(target); console.log(typeof target.stack, Object.hasOwn(target, 'stack'));
Error.prepareStackTrace = (e, sites) => `${e.message} ${sites.length > 0}`; console.log(new Error('own').stack); Error.prepareStackTrace = undefined; console.log(new Error('ours').stack.split('\n')[0]);
{ const constant = 1; try { constant = 2; } catch (e) { console.log(e.name, e.message); } }
(() => { 'use strict'; try { Object.freeze([1])[0] = 2; } catch (e) { console.log(e.name, e.message.slice(0, 37)); } })();
(() => { 'use strict'; const frozen = Object.freeze({ one: 1 }); try { frozen.one = 2; } catch (e) { console.log(e.message.slice(0, 39)); } })();
for (const f of [() => +Symbol(), () => `${Object.create(null)}`, () => new Date(NaN).toISOString(), () => JSON.stringify(1n)]) { try { f(); } catch (e) { console.log(e.name, e.message); } }
