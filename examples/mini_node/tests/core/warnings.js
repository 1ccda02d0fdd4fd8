process.on('warning', (w) => console.log(w.name, w.code, w.message, w.detail));
process.emitWarning('one');
process.emitWarning('two', 'Custom', 'C01');
process.emitWarning('three', { type: 'T', code: 'C02', detail: 'more' });
process.emitWarning(Object.assign(new Error('four'), { name: 'Four' }));
try { process.emitWarning(5); } catch (e) { console.log(e.code, e.message); }
try { process.emitWarning('x', 5); } catch (e) { console.log(e.code, e.message); }
const util = require('util');
const old = util.deprecate(() => 1, 'old is old', 'D01');
console.log(old(), old());
const e = new (require('events'))();
for (let i = 0; i < 12; i++) e.on('x', () => {});
