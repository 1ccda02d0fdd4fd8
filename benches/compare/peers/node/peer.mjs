// The workloads on Node, in callbacks, which are its fastest form; microtasks as promise jobs.
//
// The same command line as the other peers: WORKLOAD ITEMS, --serve SERVER, --list.

import { spawn } from 'node:child_process';
import dgram from 'node:dgram';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';

const BATCH = 1000;
const LIVE_TIMERS = 100_000;
const LONG = 3_600_000;

class Stopwatch {
  cpu = process.cpuUsage();
  wall = process.hrtime.bigint();

  stop(items) {
    const wall = Number(process.hrtime.bigint() - this.wall);
    const { user, system } = process.cpuUsage(this.cpu);
    return { ns: wall / items, cpu: (user + system) * 1000 / items };
  }
}

// Times `program`, which calls `done` when all is over.
function timed(items, program) {
  return new Promise((resolve) => {
    const stopwatch = new Stopwatch();
    program(() => resolve(stopwatch.stop(items)));
  });
}

// The same numbers as in src/common/inputs.rs.
function delays(count, range) {
  const mask = (1n << 64n) - 1n;
  let state = 0x2545f4914f6cdd1dn;
  return Array.from({ length: count }, () => {
    state ^= (state << 13n) & mask;
    state ^= state >> 7n;
    state ^= (state << 17n) & mask;
    return 1 + Number(state % BigInt(range));
  });
}

function file4k() {
  const name = path.join(os.tmpdir(), 'windlass-compare-4k');
  if (!fs.existsSync(name)) fs.writeFileSync(name, Buffer.alloc(4096, 'x'));
  return name;
}

function batches(items, queue) {
  const count = Math.ceil(items / BATCH);
  return timed(count * BATCH, (done) => {
    let ran = 0;
    const job = () => { ran++; };
    const batch = () => {
      if (ran === count * BATCH) return done();
      for (let i = 0; i < BATCH; i++) queue(job);
      setImmediate(batch);
    };
    batch();
  });
}

function chain(items, queue) {
  return timed(items, (done) => {
    let left = items;
    const next = () => { left-- > 0 ? queue(next) : done(); };
    next();
  });
}

const resolved = Promise.resolve();
const promiseJob = (job) => { resolved.then(job); };

// Runs `next` 64 times; it calls back when its operation is done, and goes on while there is work.
function inFlight(items, operation) {
  return timed(items, (done) => {
    let left = items, pending = 0;
    const next = () => {
      if (left > 0) {
        left--;
        pending++;
        operation(() => { pending--; next(); });
      } else if (pending === 0) done();
    };
    for (let i = 0; i < 64; i++) next();
  });
}

const worker = (source) => new Worker(source, { eval: true });
const first = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));

const ECHO = `
const { parentPort } = require('node:worker_threads');
parentPort.on('message', (message) =>
  parentPort.postMessage(message, message instanceof ArrayBuffer ? [message] : []));`;

async function toAndFro(items, message) {
  const other = worker(ECHO);
  const transfer = (value) => (value instanceof ArrayBuffer ? [value] : []);
  other.postMessage(message, transfer(message));
  message = await first(other, 'message');
  const figures = await timed(items, (done) => {
    let left = items;
    other.on('message', (message) => {
      if (--left === 0) return done();
      other.postMessage(message, transfer(message));
    });
    other.postMessage(message, transfer(message));
  });
  await other.terminate();
  return figures;
}

const workloads = {
  'microtask_batch': (items) => batches(items, promiseJob),
  'microtask_chain': (items) => chain(items, promiseJob),
  'tick_batch': (items) => batches(items, process.nextTick),
  'tick_chain': (items) => chain(items, process.nextTick),
  'loop_count': (items) => chain(items, setImmediate),

  async 'million_timers arm'(items) {
    const all = delays(items, 100_000);
    const figures = await timed(items, (done) => {
      for (const delay of all) setTimeout(() => {}, delay);
      done();
    });
    console.log(JSON.stringify(figures));
    process.exit();
  },

  async 'million_timers clear'(items) {
    const timers = delays(items, 100_000).map((delay) => setTimeout(() => {}, delay));
    return timed(items, (done) => {
      for (const timer of timers) clearTimeout(timer);
      done();
    });
  },

  'million_timers fire'(items) {
    let left = items, over;
    for (const delay of delays(items, 500)) {
      setTimeout(() => { if (--left === 0) over(); }, delay);
    }
    return timed(items, (done) => { over = done; });
  },

  async 'timer_churn'(items) {
    const timers = Array.from({ length: LIVE_TIMERS }, () => setTimeout(() => {}, LONG));
    const figures = await timed(items, (done) => {
      for (let i = 0; i < items; i++) timers[i * 7919 % LIVE_TIMERS].refresh();
      done();
    });
    timers.forEach(clearTimeout);
    return figures;
  },

  'fs_stat 64 in flight'(items) {
    const name = file4k();
    return inFlight(items, (done) => fs.stat(name, done));
  },

  'fs_read 64 in flight'(items) {
    const name = file4k();
    return inFlight(items, (done) => fs.readFile(name, done));
  },

  'process_spawn': (items) => chain(items, (next) => {
    spawn('/bin/true', { stdio: 'ignore' }).on('exit', next);
  }),

  // The same directories and changes as in src/common/inputs.rs.
  async 'fs_watch'(items) {
    const [count, rounds] = [1000, 8];
    const folder = fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir();
    const top = path.join(folder, `windlass-compare-${process.pid}`);
    const paths = Array.from({ length: count }, (_, index) => path.join(top, `${index}`));
    for (const name of paths) fs.mkdirSync(name, { recursive: true });
    let awaited = 0, heard;
    const before = process.memoryUsage.rss();
    const watchers = paths.map((name) => fs.watch(name, () => { if (--awaited === 0) heard(); }));
    const bytes = (process.memoryUsage.rss() - before) / count;
    const batches = Math.ceil(items / (count * rounds));
    let filled = false;
    const sum = { ns: 0, cpu: 0 };
    for (let batch = 0; batch < batches; batch++) {
      for (let round = 0; round < rounds; round++) {
        const change = filled ? fs.rmdirSync : fs.mkdirSync;
        for (const name of paths) change(path.join(name, 'within'));
        filled = !filled;
      }
      awaited = count * rounds;
      const lap = await timed(1, (done) => { heard = done; });
      sum.ns += lap.ns;
      sum.cpu += lap.cpu;
    }
    watchers.forEach((watcher) => watcher.close());
    fs.rmSync(top, { recursive: true });
    const events = batches * count * rounds;
    return { ns: sum.ns / events, cpu: sum.cpu / events, bytes };
  },

  async 'worker_spawn to first message'(items) {
    let nanos = 0;
    const stopwatch = new Stopwatch();
    for (let i = 0; i < items; i++) {
      const start = process.hrtime.bigint();
      const other = worker(`require('node:worker_threads').parentPort.postMessage(0)`);
      // It may come right behind the message, before this function goes on.
      const exit = first(other, 'exit');
      await first(other, 'message');
      nanos += Number(process.hrtime.bigint() - start);
      await exit;
    }
    return { ...stopwatch.stop(items), first: nanos / items };
  },

  'worker_ping_pong': (items) => toAndFro(items, 7),
  'worker_move 1 KiB': (items) => toAndFro(items, new ArrayBuffer(1 << 10)),
  'worker_move 1 MiB': (items) => toAndFro(items, new ArrayBuffer(1 << 20)),

  // The worker waits for a word before it begins, so that its start is not counted.
  async 'worker_stream'(items) {
    const other = worker(`
      const { parentPort } = require('node:worker_threads');
      parentPort.once('message', (items) => {
        for (let item = 0; item < items; item++) parentPort.postMessage(item);
      });
      parentPort.postMessage('up');`);
    await first(other, 'message');
    return timed(items, (done) => {
      let left = items;
      other.on('message', () => { if (--left === 0) done(); });
      other.postMessage(items);
    });
  },

  async 'memory live timer'(items) {
    const all = delays(items, 100_000);
    globalThis.gc?.();
    const before = process.memoryUsage.rss();
    const shared = {};
    const timers = all.map((delay) => setTimeout(() => shared, delay + LONG));
    const bytes = (process.memoryUsage.rss() - before) / items;
    timers.forEach(clearTimeout);
    return { bytes };
  },

  async 'memory idle worker'(items) {
    const before = process.memoryUsage.rss();
    const workers = [];
    for (let i = 0; i < items; i++) {
      const other = worker(`${ECHO} parentPort.postMessage('up');`);
      await first(other, 'message');
      workers.push(other);
    }
    const bytes = (process.memoryUsage.rss() - before) / items;
    await Promise.all(workers.map((other) => other.terminate()));
    return { bytes };
  },
};

const fib = (n) => (n < 2 ? n : fib(n - 1) + fib(n - 2));

function serveHttp() {
  // The worker is one: the cores are the loop's and its.
  const sums = worker(`
    const { parentPort } = require('node:worker_threads');
    const fib = (n) => (n < 2 ? n : fib(n - 1) + fib(n - 2));
    parentPort.on('message', (n) => parentPort.postMessage(fib(n)));`);
  const waiting = [];
  sums.on('message', (sum) => waiting.shift().end(`${sum}\n`));
  const server = http.createServer((request, response) => {
    const [target, query] = request.url.split('?n=');
    response.setHeader('Content-Type', 'text/plain; charset=utf-8');
    if (target === '/fast') {
      response.setHeader('Content-Length', 5);
      response.end('fast\n');
    } else if (target === '/slow') {
      waiting.push(response);
      sums.postMessage(Number(query));
    } else if (target === '/slow-inline') {
      response.end(`${fib(Number(query))}\n`);
    } else {
      response.statusCode = 404;
      response.end();
    }
  });
  server.listen(0, '127.0.0.1', 1024, () => printPort(server));
}

function echoServer() {
  return net.createServer({ noDelay: true }, (socket) => {
    socket.on('data', (chunk) => socket.write(chunk));
    socket.on('error', () => socket.destroy());
  });
}

function serveEcho() {
  const server = echoServer();
  server.listen(0, '127.0.0.1', 1024, () => printPort(server));
}

function serveUnixEcho() {
  const name = path.join(os.tmpdir(), `windlass-compare-${process.pid}.sock`);
  echoServer().listen(name, () => console.log(`listening on ${name}`));
}

function serveUdp(onMessage) {
  const socket = dgram.createSocket('udp4', (message, from) => onMessage(socket, message, from));
  socket.bind(0, '127.0.0.1', () => printPort(socket));
}

function serveUdpSink() {
  let count = 0n;
  serveUdp((socket, message, from) => {
    if (message.length !== 5) {
      count++;
      return;
    }
    const answer = Buffer.alloc(8);
    answer.writeBigUInt64LE(count);
    socket.send(answer, from.port, from.address);
  });
}

function printPort(server) {
  console.log(`listening on 127.0.0.1:${server.address().port}`);
}

const servers = {
  echo: serveEcho,
  idle: serveEcho,
  'unix echo': serveUnixEcho,
  pipe: () => process.stdin.pipe(process.stdout),
  'udp echo': () => serveUdp((socket, message, from) =>
    socket.send(message, from.port, from.address)),
  'udp sink': serveUdpSink,
  http: serveHttp,
  golden: serveHttp,
};

const [wanted, value] = process.argv.slice(2);
if (wanted === '--list') {
  console.log([...Object.keys(workloads), ...Object.keys(servers)].join('\n'));
} else if (wanted === '--serve') {
  servers[value]();
} else {
  console.log(JSON.stringify(await workloads[wanted](Number(value))));
}
