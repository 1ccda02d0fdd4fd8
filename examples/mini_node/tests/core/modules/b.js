exports.seen = { ...require('./a') };
