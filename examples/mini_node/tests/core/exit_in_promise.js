process.on('exit', (code) => console.log('exit', code));
new Promise(() => console.log('first'));
try {
  new Promise(() => process.exit(3));
  console.log('behind it');
} catch (error) {
  console.log('caught', error);
} finally {
  console.log('finally');
}
