// What a module that is not through yet does not export: whoever asks for it is warned.
process.on('warning', (warning) => console.log(warning.name, warning.message));
exports.early = 1;
const other = require('./modules/circle');
exports.late = 2;
console.log(other.early, other.late, Object.getPrototypeOf(exports) === Object.prototype);
setImmediate(() => console.log(other.again(), exports.none));
