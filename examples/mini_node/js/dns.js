'use strict';

// Names to addresses, by the system's resolver.

const native = internalBinding('dns');
const { codedError, invalidArgType, invalidArgValue, lookupError } =
  require('internal/io_errors');
const { validateBoolean, validateFunction, validateNumber } = require('internal/validators');

const orders = { verbatim: 0, ipv4first: 4, ipv6first: 6 };
let defaultOrder = 'verbatim';

function lookup(hostname, options, callback) {
  if (hostname && typeof hostname !== 'string') {
    throw invalidArgType('hostname', 'of type string', hostname);
  }
  if (typeof options === 'function') {
    callback = options;
    options = {};
  } else if (typeof options === 'number') {
    options = { family: options };
  } else if (options !== undefined && options !== null && typeof options !== 'object') {
    throw invalidArgType('options', 'one of type integer or object', options);
  }
  validateFunction(callback, 'callback');
  if (options?.all !== undefined && options.all !== null) validateBoolean(options.all, 'options.all');
  if (options?.hints !== undefined && options.hints !== null) validateNumber(options.hints, 'options.hints');
  const all = options?.all === true;
  const family = { IPv4: 4, IPv6: 6 }[options?.family] ?? options?.family ?? 0;
  if (![0, 4, 6].includes(family)) {
    throw invalidArgValue('options.family', family, 'must be one of: 0, 4, 6');
  }
  const order = options?.order ??
    (options?.verbatim === false ? 'ipv4first' : options?.verbatim ? 'verbatim' : defaultOrder);

  if (!hostname) {
    if (all) process.nextTick(callback, null, []);
    else process.nextTick(callback, null, null, family === 6 ? 6 : 4);
    return {};
  }
  const known = native.isIP(hostname);
  if (known) {
    if (all) process.nextTick(callback, null, [{ address: hostname, family: known }]);
    else process.nextTick(callback, null, hostname, known);
    return {};
  }
  native.lookup(hostname, family, orders[order] ?? 0, (code, errno, addresses) => {
    if (code) {
      callback(lookupError(code, errno, hostname));
    } else if (all) {
      callback(null, addresses.map((address) => ({ address, family: native.isIP(address) })));
    } else {
      callback(null, addresses[0], native.isIP(addresses[0]));
    }
  });
  return { callback, family, hostname };
}

// util.promisify gives an object of both results.
Object.defineProperty(lookup, Symbol.for('nodejs.util.promisify.custom'), {
  enumerable: false,
  value: (hostname, options) => require('dns/promises').lookup(hostname, options),
});

function setDefaultResultOrder(order) {
  if (!(order in orders)) {
    throw invalidArgValue(
      'dnsOrder', order, "must be one of: 'verbatim', 'ipv4first', 'ipv6first'");
  }
  defaultOrder = order;
}

function notThere(name) {
  return () => {
    throw codedError('ERR_METHOD_NOT_IMPLEMENTED', `The dns.${name}() method is not implemented`);
  };
}

module.exports = {
  ADDRCONFIG: 32,
  ALL: 16,
  V4MAPPED: 8,
  NODATA: 'ENODATA',
  NOTFOUND: 'ENOTFOUND',
  getDefaultResultOrder: () => defaultOrder,
  lookup,
  // A resolver of Node's own, which the loop has nothing to do with.
  resolve: notThere('resolve'),
  setDefaultResultOrder,
  get promises() { return require('dns/promises'); },
};
