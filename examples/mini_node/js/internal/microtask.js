// The global `queueMicrotask`: a job of the engine, among those of promises.
'use strict';

const { enqueueJob } = internalBinding('task_queue');
const { triggerUncaughtOfJob } = require('internal/fatal');
const { validateFunction } = require('internal/validators');

module.exports = function queueMicrotask(callback) {
  validateFunction(callback, 'callback');
  enqueueJob(() => {
    try {
      callback();
    } catch (error) {
      triggerUncaughtOfJob(error);
    }
  });
};
