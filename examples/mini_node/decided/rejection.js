process.on('uncaughtException', (error) => console.log(`caught ${error.message}`));
process.on('unhandledRejection', (reason) => {
  console.log(`unhandled ${reason}`);
  if (reason === 1) throw new Error('at 1');
});
Promise.reject(1);
Promise.reject(2);
