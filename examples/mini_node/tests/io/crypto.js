'use strict';

// Keys and random bytes by the pool, digests at once.

const crypto = require('crypto');

const promisify =
  (act) =>
  (...args) =>
    new Promise((resolve, reject) => {
      act(...args, (error, result) => (error ? reject(error) : resolve(result)));
    });

for (const name of ['sha1', 'SHA256', 'sha384', 'sha512']) {
  console.log(name, crypto.createHash(name).update('a').update(Buffer.from('bc')).digest('hex'));
}
console.log(crypto.createHmac('sha256', 'key').update('text').digest('base64'));
console.log(crypto.createHmac('sha512', 'k'.repeat(200)).update('text').digest('hex'));
console.log(crypto.pbkdf2Sync('password', 'salt', 3, 20, 'sha1'));
console.log(crypto.scryptSync('password', 'salt', 16, { N: 16 }));
console.log(
  crypto.timingSafeEqual(Buffer.from('a'), Buffer.from('a')),
  crypto.getHashes().length > 3,
);
console.log(
  crypto.randomBytes(4).length,
  /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-/.test(crypto.randomUUID()),
);
console.log(
  crypto.randomInt(1),
  crypto.randomInt(3, 4),
  crypto.randomFillSync(Buffer.alloc(3)).length,
);

(async () => {
  console.log(await promisify(crypto.pbkdf2)('password', Buffer.from('salt'), 2, 32, 'sha256'));
  // Each behind the one before: two threads of the pool may end in either order.
  const filled = new Uint16Array(4);
  const same = await promisify(crypto.randomFill)(filled, 1, 2);
  console.log(null, same === filled, filled[0], filled[3]);
  const gone = new Uint8Array(1000);
  const emptied = promisify(crypto.randomFill)(gone);
  structuredClone(gone.buffer, { transfer: [gone.buffer] }); // A buffer may be gone before it is filled.
  await emptied;
  console.log(null, gone.length);
  console.log(await promisify(crypto.pbkdf2)('password', 'salt', 1, 0, 'sha512'));
  console.log(await promisify(crypto.scrypt)('password', 'salt', 32, { N: 16, r: 1, p: 2 }));
  console.log((await promisify(crypto.randomBytes)(100)).length);
  crypto.randomBytes(1, (error, bytes) => {
    console.log('callback', error, bytes.length);
    process.nextTick(() => console.log('tick'));
    setImmediate(() => console.log('immediate'));
    Promise.resolve().then(() => console.log('microtask'));
  });
  console.log('asked');
})();

for (const wrong of [
  () => crypto.createHash('none'),
  () => crypto.pbkdf2('p', 's', 1, 1, 'none', () => {}),
  () => crypto.pbkdf2('p', 's', 0, 1, 'sha1', () => {}),
  () => crypto.pbkdf2('p', 's', 1, 1, 'sha1'),
  () => crypto.pbkdf2(5, 's', 1, 1, 'sha1', () => {}),
  () => crypto.scryptSync('p', 's', 1, { N: 3 }),
  () => crypto.scryptSync('p', 's', 1, { N: 2 ** 20 }),
  () => crypto.randomBytes(-1),
  () => crypto.randomBytes('1'),
  () => crypto.timingSafeEqual(Buffer.alloc(1), Buffer.alloc(2)),
  () => {
    const hash = crypto.createHash('sha1');
    hash.digest();
    hash.digest();
  },
  () => crypto.createHash('sha1').update(5),
]) {
  try {
    console.log('no error', wrong());
  } catch (error) {
    console.log(error.name, error.code, error.message);
  }
}

// Arguments of wrong kinds.
for (const call of [
  (value) => crypto.scryptSync('p', 's', 1, { N: value }), (value) => crypto.scryptSync('p', 's', 1, { blockSize: value }),
  (value) => crypto.scryptSync('p', 's', 1, { p: value }), (value) => crypto.scryptSync('p', 's', 1, { maxmem: value }),
  (value) => crypto.randomFillSync(value), (value) => crypto.randomFillSync(Buffer.alloc(4), value),
  (value) => crypto.randomFillSync(Buffer.alloc(4), 0, value), (value) => crypto.randomFill(Buffer.alloc(1), value),
  (value) => crypto.createHmac(value, 'key'), (value) => crypto.timingSafeEqual(value, Buffer.from('a')),
]) {
  for (const value of [{}, 'x', -1, 1.5, Infinity]) {
    try {
      const made = call(value);
      console.log(typeof made);
    } catch (error) {
      console.log(error.name, error.code, error.message);
    }
  }
}

// Of the two names of a parameter one may be used.
for (const options of [
  { N: 16, cost: 32 }, { N: 16, cost: 16 }, { r: 1, blockSize: 2 }, { p: 1, parallelization: 1 }, { cost: 'x', N: 1 }, { N: 'x', cost: 1 },
  { N: undefined, cost: 16 }, { N: 16, cost: undefined },
]) {
  try {
    console.log(crypto.scryptSync('password', 'salt', 4, options).toString('hex'));
  } catch (error) {
    console.log(error.name, error.code, error.message);
  }
}
