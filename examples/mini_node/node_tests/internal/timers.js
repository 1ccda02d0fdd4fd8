'use strict';
// Of Node's internal module, what tests of our families use: a timer that holds nothing.
const setUnrefTimeout = (callback, delay) => setTimeout(callback, delay).unref();

module.exports = { setUnrefTimeout };
