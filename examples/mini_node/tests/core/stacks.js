// The first line of a stack is made when it is asked for: it has the name that a class gives behind super().
const show = (error) => console.log(require('util').inspect(error).replace(/(\n\s+at .*)+/g, ' ...'));
const made = (change) => { const error = new Error('m'); change(error); return error; };
class Named extends Error { constructor(message) { super(message); this.name = 'Named'; this.value = 1; } }
class Getter extends Error { get name() { return 'FromGetter'; } }
class OnPrototype extends Error {}
OnPrototype.prototype.name = 'OnPrototype';
class Plain extends TypeError {}
for (const error of [
  new Named('n'), new Getter('g'), new OnPrototype('p'), new Plain('t'),
  made((error) => { error.name = 'Custom'; }),
  made((error) => { error.name = 'CustomError'; }),
  made((error) => { error.message = 'changed'; }),
  made((error) => { error.name = 'Both'; error.message = 'changed'; }),
  made((error) => { error.stack; error.message = 'too late'; }),
  made((error) => { error.stack = 'its own'; }),
  made((error) => { error.stack = undefined; }),
  made((error) => { error.stack = ''; }),
  new AggregateError([1], 'several'),
  new DOMException('d', 'AbortError'),
]) show(error);
const error = made((error) => { error.stack = 'text'; });
console.log(Object.keys(error), Object.getOwnPropertyDescriptor(error, 'stack'));
function Old() {}
Old.prototype = Object.create(Error.prototype);
console.log(new Old().stack, Old.prototype.stack);

// A stack that has no room is a text all the same.
function deep() { deep(); }
try { deep(); } catch (error) { console.log(error.name, error.message, typeof error.stack, error.stack.split('\n')[0]); }

// What makes the text may throw, and does so to whoever asks.
Error.prepareStackTrace = () => { throw new TypeError('mine'); };
const asked = new Error('x');
try { asked.stack; } catch (error) { console.log(error instanceof TypeError); }
Error.prepareStackTrace = (error, sites) => [error.message, Array.isArray(sites), typeof sites[0].getLineNumber()];
console.log(new Error('y').stack);
Error.prepareStackTrace = undefined;
const target = { name: 'Target', message: 'captured' };
function above() { Error.captureStackTrace(target, above); }
above();
console.log(target.stack.split('\n')[0], Object.keys(target), target.stack.includes('above'));
