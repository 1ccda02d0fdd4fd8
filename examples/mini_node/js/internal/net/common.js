'use strict';

// How connect and listen are told where.

const { codedError } = require('internal/io_errors');

/** The arguments of connect and listen: options or a port, a host, and a callback. */
function normalize(args) {
  const callback = typeof args.at(-1) === 'function' ? args.at(-1) : null;
  const [first, second] = args;
  let options = {};
  if (first !== null && typeof first === 'object') options = first;
  else if (typeof first === 'string' && !/^\d+$/.test(first)) options.path = first;
  else {
    options.port = first;
    if (typeof second === 'string') options.host = second;
  }
  return { options, callback };
}

function checkPort(port, name) {
  if (port === undefined) return 0;
  const isNumber = typeof port === 'number' || (typeof port === 'string' && port.trim() !== '');
  if (!isNumber || !Number.isInteger(+port) || +port < 0 || +port > 65535) {
    throw codedError('ERR_SOCKET_BAD_PORT',
      `${name} should be >= 0 and < 65536. ` +
      `Received ${describePort(port)}.`, RangeError);
  }
  return +port;
}

function describePort(port) {
  return port === null || port === undefined ? `${port}` :
    `type ${typeof port} (${require('internal/inspect').inspect(port)})`;
}

module.exports = { checkPort, normalize };
