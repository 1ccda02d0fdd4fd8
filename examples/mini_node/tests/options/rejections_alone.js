'use strict';
// Nobody listens for anything.
setImmediate(() => console.log('immediate'));
Promise.reject(new RangeError('nobody'));
