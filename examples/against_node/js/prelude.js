
// ---- random JavaScript ----

const timersPromises = require('timers/promises');

// Slots are so far apart that what one brings is over before the next.
const GAP = 40;
// Longer than all short timers.
const BLOCK = 12;
const WAITS = 'waits for ever';

// Of the running program: its variables, when it began, its timers, its ports, what it does before the exit.
let v;
let began;
let armed;
let ports;
let hooks;

function show(it) {
  if (Array.isArray(it)) return `[${it.map(show)}]`;
  if (it instanceof AggregateError) return `all of ${show(it.errors)}`;
  if (it instanceof Error) return `error ${it.message}`;
  if (it?.status) return `${it.status} ${show(it.value ?? it.reason)}`;
  return String(it);
}

// ---- timers ----

function keep(timer) {
  armed.push(timer);
  return timer;
}

function later(slot, ...call) {
  const [body, ...args] = call;
  const delay = Math.max(1, Math.round(began + slot * GAP - performance.now()));
  return keep(setTimeout(body, delay, ...args));
}

function every(slot, times, body) {
  later(slot, () => {
    const own = keep(setInterval(() => {
      times -= 1;
      if (times === 0) clearInterval(own);
      body();
    }, GAP));
  });
}

const short = (delay, body) => keep(setTimeout(body, delay));

// One that refreshes itself would do so for ever.
const refreshed = new WeakSet();
function refreshOnce(timer) {
  if (!timer || refreshed.has(timer)) return;
  refreshed.add(timer);
  refresh(timer);
}

const unref = (handle) => handle?.unref();
const ref = (handle) => handle?.ref();

// ---- ports ----

function channel(number, label, watched) {
  const { port1, port2 } = new MessageChannel();
  [v[`a${number}`], v[`b${number}`]] = [port1, port2];
  ports.push(port1);
  if (watched) {
    port1.once('close', () => say(`${label}.a`));
    port2.once('close', () => say(`${label}.b`));
  }
}

function closePorts() {
  ports.forEach((port) => port.close());
}

function receive(port, label) {
  const got = port && receiveMessageOnPort(port);
  say(`${label}=${got ? got.message : 'nothing'}`);
}

// ---- promises ----

function deferred() {
  const own = {};
  own.promise = new Promise((resolve, reject) => Object.assign(own, { resolve, reject }));
  return own;
}

const thenable = (value) => ({
  then(resolve) {
    say(`${value}.t`);
    resolve(value);
  },
});

async function* values(label, count) {
  for (let number = 0; number < count; number += 1) {
    if (number % 2) await undefined;
    yield `${label}.${number}`;
  }
}

// ---- programs ----

const programs = [];
function program(seed, alone, closes, main, workers) {
  programs.push({ seed, alone, closes, main, workers, started: 0 });
}

function beforeExit(times, body) {
  hooks.push({ times, body });
}

function begin() {
  v = { parent: parentPort };
  [armed, ports, hooks] = [[], [], []];
  began = performance.now();
}

function startProgram(own) {
  say(`# ${own.seed}`);
  begin();
  if (own.closes) later(own.closes, closePorts);
  own.main();
}

function startWorker(own) {
  const number = own.started;
  own.started += 1;
  const name = `W${number}`;
  const worker = new Worker(__filename, { workerData: { seed: own.seed, number } });
  own.workers[number].posts.forEach((value) => worker.postMessage(value));
  worker.on('online', () => say(`${name}:online`));
  worker.on('message', (label) => {
    say(`${name}:${label}`);
    if (label === WAITS) worker.terminate().then((code) => say(`${name}:terminated(${code})`));
  });
  worker.on('error', (error) => say(`${name}:error(${error.message.split('\n')[0]})`));
  worker.on('exit', (code) => say(`${name}:exit(${code})`));
}

function waitForEver() {
  parentPort.on('message', () => {});
  say(WAITS);
}

function run() {
  if (!isMainThread) {
    begin();
    programs.find((own) => own.seed === workerData.seed).workers[workerData.number].script();
    return;
  }
  if (programs[0].alone !== 'throws') {
    process.on('uncaughtException', (error) => say(`!${error.message}`));
    process.on('unhandledRejection', (reason) => say(`?${show(reason)}`));
    process.on('rejectionHandled', () => say('+'));
  }
  let at = 0;
  process.on('beforeExit', () => {
    const due = hooks.filter((hook) => hook.times > 0);
    if (at === programs.length - 1 && !due.length && programs[at].started === programs[at].workers.length) return;
    // Node asks again only if there is something to go on for.
    setImmediate(() => {});
    for (const hook of due) {
      hook.times -= 1;
      hook.body();
    }
    if (due.length) {
      // A port that is made here and heard would hold the program for ever.
      keep(setTimeout(closePorts, GAP / 2));
      return;
    }
    armed.forEach(clear);
    if (programs[at].started < programs[at].workers.length) {
      // The ports that were closed tell it before.
      setImmediate(() => setImmediate(() => startWorker(programs[at])));
    } else {
      at += 1;
      startProgram(programs[at]);
    }
  });
  startProgram(programs[0]);
}
