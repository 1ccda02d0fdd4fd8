'use strict';
// A rejection with what is no error becomes one, that is like any other.
process.on('uncaughtException', (error, origin) => {
  console.log(origin, error.name, error.code, String(error), Object.keys(error).join());
});
for (const reason of [null, undefined, 5, 'text', Symbol('s'), {}, [1], new (class Own {})()]) {
  Promise.reject(reason);
}
