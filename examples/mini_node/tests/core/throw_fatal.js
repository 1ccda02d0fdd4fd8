process.on('exit', (code) => { console.log('exit', code); });
setTimeout(() => console.log('never'), 1);
process.nextTick(() => console.log('never'));
function fails() {
  throw new TypeError('fatal');
}
fails();
