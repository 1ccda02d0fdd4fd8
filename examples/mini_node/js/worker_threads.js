// Workers, and the channels between them.
'use strict';

const native = internalBinding('worker');
const messaging = require('internal/messaging');
const { postMessageToThread } = require('internal/threads');
const { SHARE_ENV, Worker, getEnvironmentData, setEnvironmentData } = require('internal/worker');

// What V8 uses where a program says nothing. Here only a limit that was given limits anything.
const DEFAULT_LIMITS = {
  maxYoungGenerationSizeMb: 48,
  maxOldGenerationSizeMb: 4096,
  codeRangeSizeMb: 0,
  stackSizeMb: 4,
};

module.exports = {
  isMainThread: native.isMainThread,
  MessagePort: messaging.MessagePort,
  MessageChannel: messaging.MessageChannel,
  markAsUntransferable: messaging.markAsUntransferable,
  moveMessagePortToContext: messaging.moveMessagePortToContext,
  postMessageToThread,
  receiveMessageOnPort: messaging.receiveMessageOnPort,
  resourceLimits: {},
  threadId: native.threadId,
  // Passed as `env` it is refused: each worker has an environment of its own.
  SHARE_ENV,
  Worker,
  parentPort: null,
  workerData: null,
  BroadcastChannel: messaging.BroadcastChannel,
  setEnvironmentData,
  getEnvironmentData,
};

// Makes this the module of a worker. Not for programs.
Object.defineProperty(module.exports, '_begin', {
  configurable: true,
  value(parentPort, { workerData, resourceLimits }) {
    delete module.exports._begin;
    const limits = {};
    for (const name in DEFAULT_LIMITS) {
      limits[name] = resourceLimits[name] > 0 ? resourceLimits[name] : DEFAULT_LIMITS[name];
    }
    Object.assign(module.exports, { parentPort, workerData, resourceLimits: limits });
  },
});
