'use strict';
// Signals: reasons, listeners, timeouts, and timers that they call off.
const timers = require('timers/promises');
const ac = new AbortController();
ac.signal.onabort = (e) => console.log('onabort', e.type, e.target === ac.signal);
ac.signal.addEventListener('abort', () => console.log('listener'));
console.log(ac.signal.aborted, ac.signal.reason, String(ac), ac);
ac.abort(); ac.abort('twice');
console.log(ac.signal.aborted, ac.signal.reason.name, ac.signal.reason.message, ac.signal.reason.code);
try { ac.signal.throwIfAborted(); } catch (e) { console.log(e.name, e instanceof DOMException, e instanceof Error); }
console.log(AbortSignal.abort('why').reason);
try { new AbortSignal(); } catch (e) { console.log(e.code, e.message); }
(async () => {
  const s = AbortSignal.timeout(5); await new Promise((r) => { s.onabort = r; setTimeout(() => {}, 50); }); console.log(s.reason.name, s.reason.message);
  const b = new AbortController(); const any = AbortSignal.any([b.signal, new AbortController().signal]); any.onabort = () => console.log('any', any.reason); b.abort(7);
  console.log(await timers.setTimeout(1, 'value'), await timers.setImmediate('now'));
  const c = new AbortController(); const p = timers.setTimeout(1000, null, { signal: c.signal }); c.abort(); await p.catch((e) => console.log(e.name, e.code, e.message, e.cause.name));
  await timers.setTimeout(1, null, { signal: AbortSignal.abort('r') }).catch((e) => console.log(e.name, e.cause));
  await timers.setTimeout('x').catch((e) => console.log(e.code)); await timers.setTimeout(1, 1, { signal: {} }).catch((e) => console.log(e.code, e.message)); await timers.setTimeout(1, 1, { ref: 1 }).catch((e) => console.log(e.code, e.message));
  let n = 0; for await (const v of timers.setInterval(1, 'tick')) { console.log(v); if (++n === 3) break; }
  const d = new AbortController(); try { for await (const v of timers.setInterval(1, 'x', { signal: d.signal })) { console.log(v); d.abort(); } } catch (e) { console.log(e.name); }
  await timers.scheduler.wait(1); await timers.scheduler.yield(); console.log('end');
})();
