// Functions that warn at their first call that they are going to be gone.
'use strict';

const { validateString } = require('internal/validators');

const deprecatedCodes = new Set();

module.exports = function deprecate(f, message, code) {
  if (code !== undefined) validateString(code, 'code');
  let hasWarned = false;
  function deprecated(...args) {
    if (!hasWarned && process.noDeprecation !== true) {
      hasWarned = true;
      if (code === undefined) {
        process.emitWarning(message, 'DeprecationWarning', deprecated);
      } else if (!deprecatedCodes.has(code)) {
        deprecatedCodes.add(code);
        process.emitWarning(message, 'DeprecationWarning', code, deprecated);
      }
    }
    return new.target ? Reflect.construct(f, args, new.target) : Reflect.apply(f, this, args);
  }
  Object.setPrototypeOf(deprecated, f);
  if (f.prototype) deprecated.prototype = f.prototype;
  return deprecated;
};
