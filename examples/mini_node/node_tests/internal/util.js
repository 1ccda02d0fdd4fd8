'use strict';
// Of Node's internal module, what tests of our families use: a wait that blocks.
function sleep(time) {
  const end = Date.now() + time;
  while (Date.now() < end);
}

module.exports = { sleep };
