'use strict';
// The files that a worker has opened by their numbers are closed with it, if it is to see to that.
const fs = require('fs');
const { Worker } = require('worker_threads');

const preamble = `
const fs = require('fs');
const { parentPort, workerData } = require('worker_threads');
process.removeAllListeners('warning').on('warning', ({ message }) => parentPort.postMessage(message.replace(/\\d+/, 'N')));
`;
const isOpen = (fd) => {
  try {
    fs.fstatSync(fd);
    return true;
  } catch (error) {
    return error.code;
  }
};
const run = (source, options) => new Promise((resolve) => {
  const got = [];
  const worker = new Worker(preamble + source, { eval: true, workerData: __filename, ...options });
  worker.on('message', (message) => got.push(message));
  worker.on('exit', () => resolve(got));
});

(async () => {
  const open = 'parentPort.postMessage(fs.openSync(workerData));';
  for (const trackUnmanagedFds of [false, true, undefined]) {
    const [fd] = await run(open, { trackUnmanagedFds });
    console.log(trackUnmanagedFds, isOpen(fd));
    if (trackUnmanagedFds === false) fs.closeSync(fd);
  }
  const [asynchronous] = await run(`
    fs.open(workerData, (error, fd) => {
      fs.readFile(workerData, () => parentPort.postMessage(fd));
    });
  `);
  console.log('asynchronous', isOpen(asynchronous));
  const [terminated] = await new Promise((resolve) => {
    const worker = new Worker(`${preamble}${open}setInterval(() => {}, 1000);`, {
      eval: true, workerData: __filename,
    });
    worker.on('message', (fd) => worker.terminate().then(() => resolve([fd])));
  });
  console.log('terminated', isOpen(terminated));
  console.log(await run(`
    const fd = fs.openSync(workerData);
    fs.closeSync(fd);
    try { fs.closeSync(fd); } catch (error) { parentPort.postMessage(error.code); }
  `));
})();
