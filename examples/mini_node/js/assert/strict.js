// `assert` whose comparisons are all strict.
'use strict';

module.exports = require('assert').strict;
