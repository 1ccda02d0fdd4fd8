
// ---- programs of operations ----

// The variables of this thread's program.
const v = {};

// An interval that is cleared at its last firing, after its label and before its body.
function interval(ms, times, body) {
  const own = setInterval(() => {
    times -= 1;
    if (times === 0) clearInterval(own);
    body();
  }, ms);
  return own;
}

function beforeExit(times, body) {
  process.on('beforeExit', () => {
    if (times > 0) {
      times -= 1;
      body();
    }
  });
}

function worker(id, number, online, events) {
  const worker = new Worker(__filename, { workerData: number });
  if (online) worker.on('online', () => { say(`${id}:online`); events.online(); });
  worker.on('message', (label) => { say(`${id}:${label}`); events.message[label]?.(); });
  worker.on('error', (error) => { say(`${id}:error(${error.message})`); events.error(); });
  worker.on('exit', (code) => { say(`${id}:exit(${code})`); events.exit(); });
  return worker;
}

