// What a worker begins with, and what it may not do.
const {
  Worker, setEnvironmentData, getEnvironmentData, SHARE_ENV, resourceLimits,
} = require('worker_threads');

function attempt(name, f) {
  try {
    f();
    console.log(name, 'is taken');
  } catch (error) {
    console.log(name, error.name, error.code, error.message);
  }
}

attempt('no file', () => new Worker());
attempt('a name alone', () => new Worker('file.js'));
attempt('a number', () => new Worker(1));
attempt('a URL as text', () => new Worker('file:///tmp/x.js'));
attempt('argv', () => new Worker('1', { eval: true, argv: 1 }));
attempt('execArgv', () => new Worker('1', { eval: true, execArgv: 1 }));
attempt('env', () => new Worker('1', { eval: true, env: 1 }));
attempt('name', () => new Worker('1', { eval: true, name: 1 }));
attempt('workerData', () => new Worker('1', { eval: true, workerData: () => {} }));
attempt('eval', () => new Worker({}, { eval: true }));
console.log(typeof SHARE_ENV, resourceLimits);

setEnvironmentData('inherited', { a: 1 });
setEnvironmentData('removed', 1);
setEnvironmentData('removed');
process.env.SET_BY_MAIN = 'main';

const source = `
const { parentPort, Worker, getEnvironmentData, setEnvironmentData, resourceLimits } = require('worker_threads');
const said = (...values) => parentPort.postMessage(values);
said('argv', process.argv.slice(2), process.execArgv);
said('env', process.env.SET_BY_MAIN, process.env.A, 'B' in process.env);
said('data', getEnvironmentData('inherited'), getEnvironmentData('removed'));
said('limits', Object.keys(resourceLimits), resourceLimits.maxOldGenerationSizeMb, resourceLimits.stackSizeMb);
said('file', __filename, require.main === module, typeof exports, this === module.exports);
for (const name of ['chdir', 'abort', 'setuid', 'initgroups']) {
  try { process[name]('/'); } catch (e) { said(name, e.name, e.code, e.message); }
}
process.env.SET_BY_MAIN = 'worker';
setEnvironmentData('inherited', 'changed');
said(typeof process.stdin.on, process.stdout.fd, process.stderr.fd);
`;

async function main() {
  for (const options of [
    {},
    { argv: ['x', 2, {}, Symbol('s'), null], env: { A: 1, B: undefined }, resourceLimits: { maxOldGenerationSizeMb: 64 } },
    { env: null, name: 'named' },
  ]) {
    const worker = new Worker(source, { eval: true, ...options });
    worker.on('message', (message) => console.log(...message));
    await new Promise((resolve) => { worker.on('exit', resolve); });
  }
  console.log(process.env.SET_BY_MAIN, getEnvironmentData('inherited'));
}

main();
