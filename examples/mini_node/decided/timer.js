process.on('uncaughtException', (error) => console.log(`caught ${error.message}`));
setTimeout(() => {
  process.nextTick(() => console.log('tick of the first'));
  throw new Error('first');
}, 1);
setTimeout(() => console.log('second'), 1);
const end = performance.now() + 5;
while (performance.now() < end);
