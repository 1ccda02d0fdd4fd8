// The stream to which `console` is writing. It has no property for it: the stream may be a program's, and frozen.
'use strict';

module.exports = { stream: undefined };
