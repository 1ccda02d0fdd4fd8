// Runs the main script. Called by the native part, once everything is ready.
'use strict';

module.exports = function runMain() {
  const path = process.argv[1];
  const Module = require('module');
  process.argv[1] = Module._absolute(path);
  Module.runMain();
};
