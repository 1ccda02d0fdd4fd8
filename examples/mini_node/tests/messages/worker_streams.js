// The standard streams of a worker.
const { Worker } = require('worker_threads');

async function run(source, options, set) {
  const worker = new Worker(source, { eval: true, ...options });
  set?.(worker);
  return new Promise((resolve) => { worker.on('exit', resolve); });
}

async function main() {
  console.log(await run('console.log("printed by the parent"); process.stdout.write("no line, "); console.log("a line");'));

  let text = '';
  await run('console.log("kept"); console.error("apart");', { stdout: true, stderr: true }, (worker) => {
    worker.stdout.setEncoding('utf8');
    worker.stderr.setEncoding('utf8');
    worker.stdout.on('data', (chunk) => { text += `out: ${chunk}`; });
    worker.stderr.on('data', (chunk) => { text += `err: ${chunk}`; });
    worker.stdout.on('end', () => console.log('end of the output'));
  });
  await new Promise((resolve) => { setImmediate(resolve); });
  console.log(text);

  await run(`
    process.stdin.setEncoding('utf8');
    let all = '';
    process.stdin.on('data', (chunk) => { all += chunk; });
    process.stdin.on('end', () => console.log('read:', all));
  `, { stdin: true }, (worker) => {
    worker.stdin.write('some ');
    worker.stdin.end('input');
  });
  await run('process.stdin.on("end", () => console.log("no input")); process.stdin.resume();');
  await run('process.on("exit", () => console.log("printed at the exit")); process.exit(2);', {}, (worker) => {
    worker.on('exit', (code) => console.log('exit', code));
  });
}

main();
