'use strict';
// Emitters: the order of listeners, what happens when they change meanwhile, and errors.
const EventEmitter = require('events');
const { once, on, errorMonitor, getEventListeners, captureRejectionSymbol } = EventEmitter;
const e = new EventEmitter();
e.on('newListener', (name) => console.log('new', String(name)));
e.on('removeListener', (name) => console.log('removed', String(name)));
const a = () => { console.log('a'); e.removeListener('x', b); };
const b = () => console.log('b');
e.on('x', a); e.on('x', b); e.prependListener('x', () => console.log('first'));
e.once('x', (...args) => console.log('once', args)); e.prependOnceListener('x', () => console.log('first once'));
console.log(e.emit('x', 1, 2), e.emit('x'), e.emit('nothing'), e.listenerCount('x'), e.eventNames());
console.log(e.rawListeners('x').length, e.listeners('x').length, e.getMaxListeners());
try { e.emit('error', new Error('unheard')); } catch (err) { console.log(err.message); }
try { e.emit('error', { a: 1 }); } catch (err) { console.log(err.code, err.message, err.context); }
try { e.emit('error'); } catch (err) { console.log(err.code, err.message); }
e.on(errorMonitor, (err) => console.log('monitor', err.message));
try { e.emit('error', new Error('monitored')); } catch (err) { console.log(err.message); }
for (const bad of [undefined, null, 1, 'x']) { try { e.on('y', bad); } catch (err) { console.log(err.code, err.message); } }
try { e.setMaxListeners(-1); } catch (err) { console.log(err.code, err.message); }
e.removeAllListeners('x'); e.removeAllListeners(); console.log(e.eventNames());
(async () => {
  const f = new EventEmitter({ captureRejections: true });
  f.on('ev', async () => { throw new Error('captured'); });
  f.on('error', (err) => console.log('error event', err.message));
  f.emit('ev');
  await new Promise(setImmediate);
  f.removeAllListeners('ev'); f[captureRejectionSymbol] = (err, name, ...args) => console.log('captured by', err.message, name, args);
  f.on('ev', async () => { throw new Error('again'); }); f.emit('ev', 7);
  await new Promise(setImmediate);
  const g = new EventEmitter();
  setImmediate(() => g.emit('done', 1, 2)); console.log(await once(g, 'done'));
  setImmediate(() => g.emit('error', new Error('oops'))); await once(g, 'done').catch((err) => console.log('once', err.message));
  const ac = new AbortController(); setImmediate(() => ac.abort()); await once(g, 'done', { signal: ac.signal }).catch((err) => console.log(err.name, err.code, err.message));
  process.nextTick(() => { g.emit('v', 1); g.emit('v', 2); g.emit('end'); });
  for await (const v of on(g, 'v', { close: ['end'] })) console.log('on', v);
  const t = new EventTarget(); t.addEventListener('foo', (ev) => console.log(ev.type, ev.target === t, ev instanceof Event, ev.defaultPrevented), { once: true });
  console.log(t.dispatchEvent(new Event('foo')), t.dispatchEvent(new Event('foo')), getEventListeners(t, 'foo').length);
  setImmediate(() => t.dispatchEvent(new Event('bar'))); console.log((await once(t, 'bar'))[0].type);
})();
