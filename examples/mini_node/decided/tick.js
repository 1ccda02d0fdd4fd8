process.on('uncaughtException', (error) => console.log(`caught ${error.message}`));
setImmediate(() => {
  process.nextTick(() => { throw new Error('first tick'); });
  process.nextTick(() => console.log('second tick'));
  queueMicrotask(() => console.log('microtask'));
});
setImmediate(() => console.log('second immediate'));
