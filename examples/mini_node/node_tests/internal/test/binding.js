'use strict';
// Of Node's internal module, what tests of our families use: the loop's time.
const { now } = process.binding('timers');
const bindings = { timers: { getLibuvNow: now } };

module.exports = { internalBinding: (name) => bindings[name] };
