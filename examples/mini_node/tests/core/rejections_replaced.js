// Rejections are told and judged though a program has replaced what a map can do.
process.on('unhandledRejection', (reason) => console.log('unhandled', reason.message));
process.on('uncaughtException', (error) => console.log('uncaught', error));
for (const prototype of [Map.prototype, WeakMap.prototype]) {
  for (const name of ['set', 'get', 'delete', 'values', 'forEach', Symbol.iterator]) {
    if (Object.hasOwn(prototype, name)) prototype[name] = () => { throw new Error(String(name)); };
  }
}
const promise = Promise.reject(new Error('x'));
setTimeout(() => {
  process.on('rejectionHandled', (late) => console.log('late', late === promise));
  promise.catch((error) => console.log(error.message));
}, 1);
