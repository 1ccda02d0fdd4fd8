// Messages to any thread of the process, by its number: what the numbers of src/binding/direct.rs
// mean.
'use strict';

const native = internalBinding('direct');
const { threadId: ownThread } = internalBinding('worker');
const { codes, define } = require('internal/errors');
const { validateNumber } = require('internal/validators');

const DELIVERED = 0;
const NOBODY = 1;
const THREW = 2;

define('ERR_WORKER_MESSAGING_ERRORED', () =>
  'The destination thread threw an error while processing the message');
define('ERR_WORKER_MESSAGING_FAILED', () => 'Cannot find the destination thread or listener');
define('ERR_WORKER_MESSAGING_SAME_THREAD', () => 'Cannot sent a message to the same thread');
define('ERR_WORKER_MESSAGING_TIMEOUT', () => 'Sending a message to another thread timed out');

// A message has come: says what its listeners made of it.
function receive(value, from) {
  try {
    return process.emit('workerMessage', value, from) ? DELIVERED : NOBODY;
  } catch {
    return THREW;
  }
}

async function postMessageToThread(thread, value, transferList, timeout) {
  if (typeof transferList === 'number' && timeout === undefined) {
    [transferList, timeout] = [undefined, transferList];
  }
  if (timeout !== undefined) validateNumber(timeout, 'timeout', 0);
  if (thread === ownThread) throw new codes.ERR_WORKER_MESSAGING_SAME_THREAD();
  const answer = await answerTo(thread, value, transferList, timeout);
  if (answer === undefined) throw new codes.ERR_WORKER_MESSAGING_TIMEOUT();
  if (answer === NOBODY) throw new codes.ERR_WORKER_MESSAGING_FAILED();
  if (answer === THREW) throw new codes.ERR_WORKER_MESSAGING_ERRORED();
}

// What becomes of the message. Undefined if it is not known in time.
function answerTo(thread, value, transferList, timeout) {
  const { send, transferListOf } = require('internal/messaging');
  const { clearTimeout, setTimeout } = require('timers');
  return new Promise((resolve) => {
    let timer;
    const done = (answer) => {
      clearTimeout(timer);
      resolve(answer);
    };
    send(native.post, [Number(thread), done], value, transferListOf(transferList), undefined);
    if (timeout !== undefined) timer = setTimeout(resolve, timeout).unref();
  });
}

module.exports = { install: () => native.onMessage(receive), postMessageToThread };
