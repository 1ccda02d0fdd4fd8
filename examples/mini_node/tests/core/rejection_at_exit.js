process.on('exit', (code) => {
  console.log('exit', code);
  Promise.reject(new Error('in time')).catch(() => console.log('handled'));
  Promise.reject(new Error('at the end'));
});
