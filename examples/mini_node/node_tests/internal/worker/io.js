'use strict';
// Of Node's internal module, what tests of our families use: a class that is a global too.
module.exports = { MessageEvent };
