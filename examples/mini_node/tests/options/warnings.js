'use strict';
// Warnings, as they are printed, and what the options are called in the program.
console.log(process.execArgv, typeof gc);
console.log(process.noDeprecation, process.throwDeprecation, process.traceDeprecation);
const { Worker } = require('worker_threads');
try {
  new Worker('', { eval: true, execArgv: ['--no-warnings', '--foo', '--bar=1'] });
} catch (error) {
  console.log(error.code, error.message);
}
const worker = new Worker(`
  console.log(process.execArgv.filter((option) => option !== '--expose-gc'), typeof gc);
`, { eval: true });
worker.on('exit', () => {
  const other = new Worker('console.log(process.execArgv)', { eval: true, execArgv: ['--no-warnings'] });
  other.on('exit', () => {
    process.on('uncaughtException', (error) => console.log('thrown', error.message));
    process.emitWarning('a warning');
    process.emitWarning('a deprecation', 'DeprecationWarning', 'DEP1');
  });
});
