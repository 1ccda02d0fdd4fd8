'use strict';
// What is done about an error that nobody caught is a property of process.
process.once('uncaughtException', (error) => console.log('uncaught', error.message));
console.log(process._fatalException(new Error('given')));
process.on('exit', (code) => console.log('never', code));
setImmediate(() => {
  process._fatalException = undefined;
  throw new Error('nobody is there');
});
