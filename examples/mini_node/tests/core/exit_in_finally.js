// Nothing of JavaScript runs behind process.exit.
process.on('exit', (code) => console.log('exit', code));
(async () => {
  try { try { await null; process.exit(4); } catch { console.log('never'); } finally { console.log('never'); } } catch { console.log('never'); }
})().then(() => console.log('never'), () => console.log('never'));
process.nextTick(() => console.log('tick'));
setImmediate(() => console.log('never'));
