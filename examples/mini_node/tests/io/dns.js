'use strict';

// Look-ups, of which only what every machine knows the same is shown.

const dns = require('dns');

console.log(
  typeof dns.lookup('127.0.0.1', (error, address, family) => {
    console.log(error, address, family);
    dns.lookup('::1', { all: true }, (failed, addresses) => {
      console.log(failed, addresses);
      dns.lookup('localhost', { family: 4 }, (wrong, local, kind) => {
        console.log(wrong, local, kind);
        dns.lookup('nothing.invalid', (unknown) => {
          console.log(unknown.code, unknown.syscall, unknown.hostname, unknown.message);
          promises();
        });
      });
    });
  }),
);

async function promises() {
  console.log(
    await dns.promises.lookup('127.0.0.1'),
    await dns.promises.lookup('1.2.3.4', { all: true }),
  );
  try {
    await dns.promises.lookup('nothing.invalid');
  } catch (error) {
    console.log(error.code, error.message);
  }
}

for (const wrong of [
  () => dns.lookup('a'),
  () => dns.lookup(5, () => {}),
  () => dns.lookup('a', { family: 5 }, () => {}),
  () => dns.lookup('a', { family: 'x' }, () => {}),
  () => dns.lookup('a', { all: 1 }, () => {}),
  () => dns.lookup('a', { hints: 'x' }, () => {}),
]) {
  try {
    wrong();
  } catch (error) {
    console.log(error.name, error.code, error.message);
  }
}
