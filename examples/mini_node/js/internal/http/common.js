'use strict';

// What both sides of HTTP share: names, checks of what goes on the wire, and how a connection's
// bytes become messages.

const { codedError, withoutFrames } = require('internal/io_errors');
const { createParser } = internalBinding('http_parser');

const STATUS_CODES = {
  100: 'Continue', 101: 'Switching Protocols', 102: 'Processing', 103: 'Early Hints',
  200: 'OK', 201: 'Created', 202: 'Accepted', 203: 'Non-Authoritative Information',
  204: 'No Content', 205: 'Reset Content', 206: 'Partial Content', 207: 'Multi-Status',
  208: 'Already Reported', 226: 'IM Used',
  300: 'Multiple Choices', 301: 'Moved Permanently', 302: 'Found', 303: 'See Other',
  304: 'Not Modified', 305: 'Use Proxy', 307: 'Temporary Redirect', 308: 'Permanent Redirect',
  400: 'Bad Request', 401: 'Unauthorized', 402: 'Payment Required', 403: 'Forbidden',
  404: 'Not Found', 405: 'Method Not Allowed', 406: 'Not Acceptable',
  407: 'Proxy Authentication Required', 408: 'Request Timeout', 409: 'Conflict', 410: 'Gone',
  411: 'Length Required', 412: 'Precondition Failed', 413: 'Payload Too Large',
  414: 'URI Too Long', 415: 'Unsupported Media Type', 416: 'Range Not Satisfiable',
  417: 'Expectation Failed', 418: "I'm a Teapot", 421: 'Misdirected Request',
  422: 'Unprocessable Entity', 423: 'Locked', 424: 'Failed Dependency', 425: 'Too Early',
  426: 'Upgrade Required', 428: 'Precondition Required', 429: 'Too Many Requests',
  431: 'Request Header Fields Too Large', 451: 'Unavailable For Legal Reasons',
  500: 'Internal Server Error', 501: 'Not Implemented', 502: 'Bad Gateway',
  503: 'Service Unavailable', 504: 'Gateway Timeout', 505: 'HTTP Version Not Supported',
  506: 'Variant Also Negotiates', 507: 'Insufficient Storage', 508: 'Loop Detected',
  509: 'Bandwidth Limit Exceeded', 510: 'Not Extended', 511: 'Network Authentication Required',
};

const METHODS = [
  'ACL', 'BIND', 'CHECKOUT', 'CONNECT', 'COPY', 'DELETE', 'GET', 'HEAD', 'LINK', 'LOCK',
  'M-SEARCH', 'MERGE', 'MKACTIVITY', 'MKCALENDAR', 'MKCOL', 'MOVE', 'NOTIFY', 'OPTIONS', 'PATCH',
  'POST', 'PROPFIND', 'PROPPATCH', 'PURGE', 'PUT', 'REBIND', 'REPORT', 'SEARCH', 'SOURCE',
  'SUBSCRIBE', 'TRACE', 'UNBIND', 'UNLINK', 'UNLOCK', 'UNSUBSCRIBE',
];

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

function validateHeaderName(name, label = 'Header name') {
  if (typeof name !== 'string' || !token.test(name)) {
    throw codedError(
      'ERR_INVALID_HTTP_TOKEN', `${label} must be a valid HTTP token ["${name}"]`, TypeError);
  }
}

function validateHeaderValue(name, value) {
  if (value === undefined) {
    throw codedError(
      'ERR_HTTP_INVALID_HEADER_VALUE', `Invalid value "${value}" for header "${name}"`, TypeError);
  }
  for (const one of Array.isArray(value) ? value : [value]) {
    if (/[^\t\x20-\x7e\x80-\xff]/.test(String(one))) {
      throw codedError(
        'ERR_INVALID_CHAR', `Invalid character in header content ["${name}"]`, TypeError);
    }
  }
}

/** Whether a connection goes on after a message with this head. */
function keepsAlive(head) {
  const values = [];
  for (let at = 0; at < head.headers.length; at += 2) {
    if (head.headers[at].toLowerCase() === 'connection') values.push(head.headers[at + 1]);
  }
  const options = values.join(',').toLowerCase().split(',').map((one) => one.trim());
  return head.minor === 0 ? options.includes('keep-alive') : !options.includes('close');
}

/**
 * A parser that calls back: `onHead(head)` returns the IncomingMessage, whose body is pushed to it;
 * `onFault(error)` is called once, and nothing after it.
 */
class MessageReader {
  constructor(socket, readsRequests, { onHead, onComplete, onFault }) {
    this.socket = socket;
    this.parser = createParser(readsRequests);
    this.onHead = onHead;
    this.onComplete = onComplete;
    this.onFault = onFault;
    this.incoming = null;
    this.isDone = false;
  }

  read(bytes) {
    if (!this.isDone) this.handle(this.parser.read(bytes), bytes);
  }

  /** The connection has ended. A message that is cut off is a fault, where that is asked for. */
  end(tellsFault) {
    if (this.isDone) return;
    const found = this.parser.end();
    this.handle(tellsFault ? found : found.filter((one) => !Array.isArray(one)));
  }

  /** Nothing more is read. */
  stop() {
    this.isDone = true;
    this.incoming = null;
  }

  handle(found, bytes) {
    for (const one of found) {
      if (this.isDone) return;
      if (one === null) {
        const message = this.incoming;
        this.incoming = null;
        if (message) {
          message.complete = true;
          if (!message._ends) message.push(null);
          this.onComplete?.(message);
        }
      } else if (Array.isArray(one)) {
        this.isDone = true;
        const error = withoutFrames(new Error(one[1]));
        error.code = one[0];
        error.reason = one[1].replace('Parse Error: ', '');
        error.bytesParsed = 0;
        if (bytes) error.rawPacket = bytes;
        this.onFault(error);
      } else if (one instanceof ArrayBuffer) {
        if (this.incoming && !this.incoming._dumped &&
            !this.incoming.push(require('buffer').Buffer.from(one))) {
          this.socket.pause();
        }
      } else {
        this.incoming = this.onHead(one) ?? null;
      }
    }
  }
}

/** The error of a connection that ended too early. */
function connectionReset(text) {
  const error = new Error(text);
  error.code = 'ECONNRESET';
  return error;
}

module.exports = {
  METHODS, MessageReader, STATUS_CODES, connectionReset, keepsAlive, validateHeaderName,
  validateHeaderValue,
};
