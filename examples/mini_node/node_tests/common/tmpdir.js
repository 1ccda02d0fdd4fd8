'use strict';
// A folder that a test may fill: empty when asked for.
const fs = require('fs');
const os = require('os');
const path = require('path');

const tmpPath = path.join(os.tmpdir(), `mini_node_tests_${process.pid}`);

function refresh() {
  fs.rmSync(tmpPath, { recursive: true, force: true });
  fs.mkdirSync(tmpPath, { recursive: true });
}

module.exports = { path: tmpPath, refresh, resolve: (...parts) => path.resolve(tmpPath, ...parts) };
