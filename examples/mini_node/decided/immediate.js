process.on('uncaughtException', (error) => console.log(`caught ${error.message}`));
setImmediate(() => {
  process.nextTick(() => console.log('tick of the first'));
  throw new Error('first');
});
setImmediate(() => console.log('second'));
