'use strict';

// What the system says of itself.

const native = internalBinding('os');

const kernel = (name) => native.read(`/proc/sys/kernel/${name}`).trim();

function memory(name) {
  const line = native.read('/proc/meminfo').split('\n').find((one) => one.startsWith(`${name}:`));
  return line ? Number(/\d+/.exec(line)) * 1024 : 0;
}

function cpus() {
  const models = native.read('/proc/cpuinfo').split('\n')
    .filter((line) => line.startsWith('model name'))
    .map((line) => line.slice(line.indexOf(':') + 1).trim());
  const times = native.read('/proc/stat').split('\n').filter((line) => /^cpu\d/.test(line));
  return times.map((line, at) => {
    const [user, nice, sys, idle, , irq] = line.split(' ').slice(1).map((ticks) => ticks * 10);
    return { model: models[at] ?? 'unknown', speed: 0, times: { user, nice, sys, idle, irq } };
  });
}

module.exports = {
  EOL: '\n',
  devNull: '/dev/null',
  arch: () => process.arch,
  availableParallelism: () => native.parallelism(),
  cpus,
  endianness: () => 'LE',
  freemem: () => memory('MemAvailable'),
  homedir: () => process.env.HOME ?? '/',
  hostname: () => kernel('hostname'),
  loadavg: () => native.read('/proc/loadavg').split(' ').slice(0, 3).map(Number),
  machine: () => ({ x64: 'x86_64', arm64: 'aarch64' })[process.arch] ?? process.arch,
  platform: () => process.platform,
  release: () => kernel('osrelease'),
  tmpdir() {
    const path = process.env.TMPDIR || process.env.TMP || process.env.TEMP || '/tmp';
    return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
  },
  totalmem: () => memory('MemTotal'),
  type: () => kernel('ostype'),
  uptime: () => Number(native.read('/proc/uptime').split(' ')[0]),
  version: () => kernel('version'),
  constants: {
    errno: {},
    signals: {
      SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGUSR1: 10, SIGUSR2: 12,
      SIGPIPE: 13, SIGALRM: 14, SIGTERM: 15, SIGCHLD: 17,
    },
  },
};
for (const [errno, [code]] of Object.entries(internalBinding('uv').errors)) {
  if (errno > -3000) module.exports.constants.errno[code] = -errno;
}
