// The error of `assert`, and how it shows what differs.
'use strict';

const { inspect } = require('internal/inspect');

const WORDS = {
  deepStrictEqual: 'Expected values to be strictly deep-equal:',
  strictEqual: 'Expected values to be strictly equal:',
  strictEqualObject: 'Expected "actual" to be reference-equal to "expected":',
  deepEqual: 'Expected values to be loosely deep-equal:',
  notDeepStrictEqual: 'Expected "actual" not to be strictly deep-equal to:',
  notStrictEqual: 'Expected "actual" to be strictly unequal to:',
  notStrictEqualObject: 'Expected "actual" not to be reference-equal to "expected":',
  notDeepEqual: 'Expected "actual" not to be loosely deep-equal to:',
  notIdentical: 'Values have same structure but are not reference-equal:',
};

// Everything of a value, so that what differs is seen.
function show(value) {
  return inspect(value, {
    compact: false, customInspect: false, depth: 1000, maxArrayLength: Infinity, showHidden: false,
    showProxy: false, sorted: true, getters: true, breakLength: Infinity,
  });
}

class AssertionError extends Error {
  constructor(options) {
    if (options === null || typeof options !== 'object') {
      const { codes } = require('internal/errors');
      throw new codes.ERR_INVALID_ARG_TYPE('options', 'Object', options);
    }
    const { message, operator, actual, expected, stackStartFn } = options;
    const limit = Error.stackTraceLimit;
    super(messageOf(message, operator, actual, expected));
    this.generatedMessage = message == null;
    Object.defineProperty(this, 'name', {
      value: 'AssertionError [ERR_ASSERTION]', enumerable: false, writable: true, configurable: true,
    });
    this.code = 'ERR_ASSERTION';
    this.actual = actual;
    this.expected = expected;
    this.operator = operator;
    Error.stackTraceLimit = limit;
    Error.captureStackTrace(this, stackStartFn || undefined);
    // The code was only for the stack.
    this.name = 'AssertionError';
  }

  toString() { return `${this.name} [${this.code}]: ${this.message}`; }
}

// A message of the caller's stands in place of our first line, or alone.
function messageOf(message, operator, actual, expected) {
  if (message == null) return generate(operator, actual, expected);
  const shows = operator === 'strictEqual' || operator === 'deepStrictEqual';
  return shows ? difference(actual, expected, operator, String(message)) : String(message);
}

function generate(operator, actual, expected) {
  switch (operator) {
    case 'deepStrictEqual':
    case 'strictEqual':
      return difference(actual, expected, operator);
    case 'notDeepStrictEqual':
    case 'notStrictEqual': {
      let words = WORDS[operator];
      const lines = show(actual).split('\n');
      if (operator === 'notStrictEqual' && ((typeof actual === 'object' && actual !== null) || typeof actual === 'function')) {
        words = WORDS.notStrictEqualObject;
      }
      if (lines.length === 1) return `${words}${lines[0].length > 5 ? '\n\n' : ' '}${lines[0]}`;
      return `${words}\n\n${lines.join('\n')}\n`;
    }
    case 'deepEqual':
      return `${WORDS.deepEqual}\n\n${show(actual)}\n\nshould loosely deep-equal\n\n${show(expected)}`;
    case 'notDeepEqual':
      return `${WORDS.notDeepEqual}\n\n${show(actual)}`;
    default:
      return `${inspect(actual)} ${operator} ${inspect(expected)}`;
  }
}

const isPrimitive = (value) => (typeof value !== 'object' || value === null) && typeof value !== 'function';

function difference(actual, expected, operator, ownWords = undefined) {
  let left = show(actual).split('\n');
  const right = show(expected).split('\n');
  if (operator === 'strictEqual' && ((typeof actual === 'object' && actual !== null && typeof expected === 'object' && expected !== null) ||
      (typeof actual === 'function' && typeof expected === 'function'))) {
    operator = 'strictEqualObject';
  }
  if (left.length === 1 && right.length === 1 && left[0] !== right[0] && isPrimitive(actual) && isPrimitive(expected) &&
      left[0].length + right[0].length <= 80 - 2) {
    const isShort = left[0].length + right[0].length <= 12 && (actual !== 0 || expected !== 0);
    if (isShort) return `${ownWords ?? WORDS[operator]}\n\n${left[0]} !== ${right[0]}\n`;
    if (operator !== 'strictEqualObject') {
      let same = 0;
      while (left[0][same] !== undefined && left[0][same] === right[0][same]) same++;
      return `${ownWords ?? WORDS[operator]}\n+ actual - expected\n\n+ ${left[0]}\n- ${right[0]}${same > 2 ? `\n${' '.repeat(same + 2)}^` : ''}`;
    }
  }
  if (left.join('\n') === right.join('\n') && operator !== 'deepStrictEqual') {
    return `${WORDS.notIdentical}\n\n${left.join('\n')}\n`;
  }
  left = left.slice();
  return `${ownWords ?? WORDS[operator]}\n+ actual - expected\n\n${diff(left, right).join('\n')}`;
}

// The longest common lines stay, the others are marked. Large values are compared line by line.
function diff(left, right) {
  const out = [];
  if (left.length * right.length > 1e6) {
    for (const line of left) out.push(`+ ${line}`);
    for (const line of right) out.push(`- ${line}`);
    return out;
  }
  const same = (a, b) => a === b || a === `${b},` || `${a},` === b;
  const common = Array.from({ length: left.length + 1 }, () => new Array(right.length + 1).fill(0));
  for (let i = left.length - 1; i >= 0; i--) {
    for (let j = right.length - 1; j >= 0; j--) {
      common[i][j] = same(left[i], right[j]) ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }
  let i = 0;
  let j = 0;
  while (i < left.length || j < right.length) {
    if (i < left.length && j < right.length && same(left[i], right[j])) {
      out.push(`  ${left[i]}`);
      i++;
      j++;
    } else if (i < left.length && (j >= right.length || common[i + 1][j] >= common[i][j + 1])) {
      out.push(`+ ${left[i++]}`);
    } else {
      out.push(`- ${right[j++]}`);
    }
  }
  return out;
}

module.exports = { AssertionError };
