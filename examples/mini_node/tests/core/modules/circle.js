const circular = require('../circular');
exports.early = circular.early;
exports.late = circular.late;
exports.again = () => circular.late;
console.log('toString' in circular, circular.__esModule, typeof circular.hasOwnProperty);
