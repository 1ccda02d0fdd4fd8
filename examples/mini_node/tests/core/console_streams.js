// A console writes to any stream, and leaves nothing in it.
const { Console } = require('console');
const methods = { on() {}, once() {}, removeListener() {}, listenerCount() { return 0; } };
const kept = { ...methods, write(text) { process.stdout.write(`kept ${text}`); } };
const keys = Reflect.ownKeys(kept).length;
new Console(kept).log('one');
console.log(Reflect.ownKeys(kept).length === keys);
new Console(Object.freeze({ ...methods, write(text) { process.stdout.write(`frozen ${text}`); } })).log('two');
new Console({ ...methods, write(text) { console.log('within', text); } }).log('three');
const own = () => Object.getOwnPropertySymbols(process.stdout).length;
const before = own();
console.log('four');
console.log(own() === before);
