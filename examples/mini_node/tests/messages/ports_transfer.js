// What a transfer list takes with it.
const { MessageChannel, receiveMessageOnPort, MessagePort } = require('worker_threads');

function sent(value, list) {
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(value, list);
  const { message } = receiveMessageOnPort(port2);
  port1.close();
  return message;
}

// Small buffers, and large ones whose memory moves.
for (const size of [0, 8, 100_000]) {
  const bytes = new Uint8Array(size).map((_, index) => index % 251);
  const view = bytes.subarray(0, size / 2);
  const got = sent({ bytes, view, buffer: bytes.buffer }, [bytes.buffer]);
  console.log(size, bytes.length, bytes.buffer.byteLength, view.length);
  console.log(got.bytes.length, got.view.length, got.bytes.buffer === got.buffer, got.view.buffer === got.buffer);
  console.log(got.bytes.every((byte, index) => byte === index % 251));
  // And on.
  const last = sent(got.buffer, { transfer: [got.buffer] });
  console.log(got.buffer.byteLength, got.bytes.length, last.byteLength, new Uint8Array(last)[size - 1]);
}

// A buffer that is not in the value is gone all the same; one that is not listed is copied.
const listed = new ArrayBuffer(4);
console.log(sent('nothing', [listed]), listed.byteLength);
const copied = new Float64Array([1.5, -0, NaN]);
console.log(sent(copied), copied.length);

// What cannot be sent leaves everything where it was.
const kept = new ArrayBuffer(4);
try {
  sent({ kept, f() {} }, [kept]);
} catch (error) {
  console.log(error.name, error.code, kept.byteLength);
}

// Ports, with what waits in them.
const { port1, port2 } = new MessageChannel();
port1.postMessage('waited');
const moved = sent([port2], [port2]);
console.log(moved[0] instanceof MessagePort, moved[0] === port2, receiveMessageOnPort(moved[0]));
try {
  sent(port2, [port2]);
} catch (error) {
  console.log(error.name, error.message);
}
port2.on('close', () => console.log('the transferred port is closed'));
moved[0].on('message', (message) => {
  console.log('moved', message);
  moved[0].close();
});
port1.on('close', () => console.log('the peer is closed'));
port1.postMessage('to the new place');

// The other end in its own channel.
const own = new MessageChannel();
process.on('warning', (warning) => console.log(warning.message));
process.removeAllListeners('warning');
process.on('warning', (warning) => console.log(warning.message));
own.port1.on('close', () => console.log('lost'));
own.port1.postMessage(own.port2, [own.port2]);
