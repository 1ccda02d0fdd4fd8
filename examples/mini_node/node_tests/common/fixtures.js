'use strict';
// The files that tests read: those of the checkout.
const fs = require('fs');
const path = require('path');

const fixturesDir = path.join(__dirname, '..', 'fixtures');
const fixturesPath = (...parts) => path.join(fixturesDir, ...parts);

module.exports = {
  fixturesDir,
  path: fixturesPath,
  readSync: (parts, encoding) => fs.readFileSync(fixturesPath(...[parts].flat()), encoding),
};
