'use strict';
// The end of a program, and what its handlers may do.
process.on('beforeExit', (code) => { console.log('beforeExit', code, rounds); if (rounds++ < 2) setImmediate(() => console.log('more')); });
let rounds = 0;
process.on('exit', (code) => { console.log('exit', code, process.exitCode); process.exitCode = 7; setImmediate(() => console.log('never')); process.nextTick(() => console.log('never')); Promise.resolve().then(() => console.log('never')); });
process.on('exit', (code) => console.log('exit again', code, process.exitCode));
process.exitCode = 3;
for (const bad of ['x', 1.5, {}, true, NaN, []]) { try { process.exitCode = bad; console.log('set', process.exitCode); } catch (e) { console.log(e.code, e.message); } }
process.exitCode = '5'; console.log(process.exitCode);
process.exitCode = undefined; console.log(process.exitCode);
process.exitCode = 3;
console.log(process.argv.length, typeof process.pid, process.platform, process.version, typeof process.uptime());
console.log(Array.isArray(process.hrtime()), typeof process.hrtime.bigint(), process.hrtime([0, 0]).length);
try { process.hrtime(1); } catch (e) { console.log(e.message); }
try { process.hrtime([1]); } catch (e) { console.log(e.message); }
console.log(String(process), Object.prototype.toString.call(process), process instanceof require('events'));
process.env.MINI = 5; console.log(process.env.MINI, 'MINI' in process.env, process.env.NOT_THERE); delete process.env.MINI; console.log(process.env.MINI);
console.log(require.main === module, process.mainModule === module, __filename.endsWith('process_events.js'), typeof __dirname, this === exports, this === module.exports);
