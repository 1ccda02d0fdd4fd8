const fs = require('fs');
process.on('uncaughtException', (error) => console.log(`caught ${error.message}`));
setImmediate(() => {
  fs.stat('/', () => {
    setImmediate(() => console.log('immediate'));
    process.nextTick(() => { throw new Error('first tick'); });
    process.nextTick(() => console.log('second tick'));
    queueMicrotask(() => console.log('microtask'));
    throw new Error('completion');
  });
});
