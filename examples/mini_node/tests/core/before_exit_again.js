'use strict';
// What a handler of beforeExit begins is waited for, and then it comes again.
const net = require('net');
const steps = [
  () => setImmediate(() => console.log('immediate')),
  () => process.nextTick(() => console.log('a tick alone holds nothing')),
];
let closed = false;
process.on('beforeExit', (code) => {
  console.log('before exit', code);
  if (!closed) {
    closed = true;
    net.createServer().listen(0).on('listening', function() {
      this.close();
      console.log('opened and closed');
    });
    return;
  }
  steps.shift()?.();
});
process.on('exit', () => console.log('exit'));
