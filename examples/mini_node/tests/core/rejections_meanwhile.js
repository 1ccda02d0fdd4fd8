// A rejection that is handled while another is told is told too, as on Node, and is not told to be handled late.
const promises = [0, 1, 2].map((value) => Promise.reject(value));
process.on('unhandledRejection', (reason) => {
  console.log('unhandled', reason);
  promises[2].catch(() => console.log('handled 2, at', reason));
});
process.on('rejectionHandled', () => console.log('handled late'));
