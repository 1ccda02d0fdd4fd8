'use strict';

const dns = require('dns');

function lookup(hostname, options) {
  return new Promise((resolve, reject) => {
    dns.lookup(hostname, options ?? {}, (error, address, family) => {
      if (error) reject(error);
      else resolve(Array.isArray(address) ? address : { address, family });
    });
  });
}

module.exports = {
  getDefaultResultOrder: dns.getDefaultResultOrder,
  lookup,
  setDefaultResultOrder: dns.setDefaultResultOrder,
};
