process.on('exit', (code) => console.log('exit', code));
setImmediate(() => console.log('never'));
Promise.reject(new RangeError('nobody'));
process.nextTick(() => console.log('tick'));
