'use strict';
// Calls a function after so many check phases.
module.exports = function tick(count, callback) {
  if (count > 0) setImmediate(tick, count - 1, callback);
  else callback();
};
