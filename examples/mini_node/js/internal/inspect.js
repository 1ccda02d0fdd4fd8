// Values as text, as `util.inspect` and `console.log` show them in Node.
'use strict';

const { promiseDetails, isProxy, proxyDetails } = internalBinding('util');
const types = require('internal/types');
const { customInspect } = require('internal/symbols');
const { colorize, styles, stripColors } = require('internal/colors');

const defaultOptions = {
  showHidden: false,
  depth: 2,
  colors: false,
  customInspect: true,
  showProxy: false,
  maxArrayLength: 100,
  maxStringLength: 10000,
  breakLength: 80,
  compact: 3,
  sorted: false,
  getters: false,
  numericSeparator: false,
};

// Keys that need no quotes.
const IDENTIFIER = /^[a-zA-Z_][a-zA-Z_0-9]*$/;

function inspect(value, options) {
  const context = {
    ...defaultOptions,
    seen: [],
    circular: undefined,
    indentation: 0,
    level: 0,
    budget: {},
    stylize: (text) => text,
  };
  if (arguments.length > 1) {
    if (arguments.length > 2) {
      // The form with three or four plain arguments.
      if (arguments[2] !== undefined) context.depth = arguments[2];
      if (arguments.length > 3 && arguments[3] !== undefined) context.colors = arguments[3];
    }
    if (typeof options === 'boolean') {
      context.showHidden = options;
    } else if (options) {
      for (const key of Object.keys(options)) {
        if (Object.hasOwn(defaultOptions, key) || key === 'stylize') context[key] = options[key];
        else context.userOptions = options;
      }
    }
  }
  if (context.colors) context.stylize = colorize;
  if (context.maxArrayLength === null) context.maxArrayLength = Infinity;
  if (context.maxStringLength === null) context.maxStringLength = Infinity;
  return formatValue(context, value, 0);
}

inspect.custom = customInspect;
inspect.styles = styles.names;
inspect.colors = styles.codes;
Object.defineProperty(inspect, 'defaultOptions', {
  get() { return defaultOptions; },
  set(options) { Object.assign(defaultOptions, options); },
});

function formatValue(context, value, depth, isTyped = false) {
  if ((typeof value !== 'object' || value === null) && typeof value !== 'function') {
    return formatPrimitive(context, value);
  }
  const original = value;
  if (isProxy(value)) {
    const [target, handler] = proxyDetails(value);
    if (context.showProxy) return formatProxy(context, target, handler, depth);
    if (target === undefined || target === null) return context.stylize('<Revoked Proxy>', 'special');
    value = target;
  }
  if (context.customInspect) {
    const custom = value[customInspect];
    if (typeof custom === 'function' && custom !== inspect &&
        !(value.constructor && value.constructor.prototype === value)) {
      const left = context.depth === null ? null : context.depth - depth;
      const result = custom.call(original, left, userOptions(context, left), inspect);
      if (result !== original) {
        if (typeof result !== 'object' || result === null) return String(result).replaceAll('\n', `\n${' '.repeat(context.indentation)}`);
        return formatValue(context, result, depth);
      }
    }
  }
  if (context.seen.includes(value)) {
    context.circular ??= new Map();
    let index = context.circular.get(value);
    if (index === undefined) {
      index = context.circular.size + 1;
      context.circular.set(value, index);
    }
    return context.stylize(`[Circular *${index}]`, 'special');
  }
  return formatRaw(context, value, depth, isTyped);
}

// What a custom inspect function is given as options.
function userOptions(context, depth) {
  const options = { stylize: context.stylize };
  for (const key of Object.keys(defaultOptions)) options[key] = context[key];
  Object.assign(options, context.userOptions);
  options.depth = depth;
  return options;
}

function formatProxy(context, target, handler, depth) {
  if (context.depth !== null && depth > context.depth) return context.stylize('Proxy [Array]', 'special');
  context.indentation += 2;
  const output = [formatValue(context, target, depth + 1), formatValue(context, handler, depth + 1)];
  context.indentation -= 2;
  return reduceToLines(context, output, '', ['Proxy [', ']'], 'array', depth);
}

// Primitives.

function quote(text) {
  let mark = "'";
  if (text.includes("'")) {
    if (!text.includes('"')) mark = '"';
    else if (!text.includes('`') && !text.includes('${')) mark = '`';
  }
  let result = '';
  for (const letter of text) {
    const code = letter.codePointAt(0);
    if (letter === '\\') result += '\\\\';
    else if (letter === mark && mark === "'") result += "\\'";
    else if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) result += SHORT[letter] ?? `\\x${code.toString(16).toUpperCase().padStart(2, '0')}`;
    else if (code >= 0xd800 && code <= 0xdfff) result += `\\u${code.toString(16)}`;
    else result += letter;
  }
  return mark + result + mark;
}

const SHORT = { '\b': '\\b', '\t': '\\t', '\n': '\\n', '\f': '\\f', '\r': '\\r' };

function formatNumber(value) {
  return Object.is(value, -0) ? '-0' : `${value}`;
}

function separated(digits) {
  return digits.replace(/\B(?=(\d{3})+(?!\d))/g, '_');
}

function numberText(context, value) {
  const text = formatNumber(value);
  if (!context.numericSeparator || !/^-?\d+(\.\d+)?$/.test(text)) return text;
  const [whole, fraction] = text.split('.');
  if (fraction === undefined) return separated(whole);
  return `${separated(whole)}.${fraction.replace(/(\d{3})(?=\d)/g, '$1_')}`;
}

function bigintText(context, value) {
  return context.numericSeparator ? `${separated(String(value))}n` : `${value}n`;
}

function formatPrimitive(context, value) {
  switch (typeof value) {
    case 'string': return formatString(context, value);
    case 'number': return context.stylize(numberText(context, value), 'number');
    case 'bigint': return context.stylize(bigintText(context, value), 'bigint');
    case 'boolean': return context.stylize(`${value}`, 'boolean');
    case 'undefined': return context.stylize('undefined', 'undefined');
    case 'symbol': return context.stylize(symbolText(value), 'symbol');
    default: return context.stylize('null', 'null');
  }
}

function symbolText(symbol) {
  return Symbol.prototype.toString.call(symbol);
}

function formatString(context, value) {
  let trailer = '';
  if (value.length > context.maxStringLength) {
    const rest = value.length - context.maxStringLength;
    value = value.slice(0, context.maxStringLength);
    trailer = `... ${rest} more character${rest > 1 ? 's' : ''}`;
  }
  if (context.compact !== true && value.length > 16 &&
      value.length > context.breakLength - context.indentation - 4) {
    // Long texts are cut at their line ends.
    return value.split(/(?<=\n)/).map((line) => context.stylize(quote(line), 'string'))
      .join(` +\n${' '.repeat(context.indentation + 2)}`) + trailer;
  }
  return context.stylize(quote(value), 'string') + trailer;
}

// Objects.

// The name of the class that made an object, from its prototypes. Null without one.
function constructorName(object) {
  const original = object;
  for (; object !== null && object !== undefined; object = Object.getPrototypeOf(object)) {
    const descriptor = Object.getOwnPropertyDescriptor(object, 'constructor');
    if (descriptor !== undefined && typeof descriptor.value === 'function' && descriptor.value.name !== '' &&
        isInstance(original, descriptor.value)) {
      return String(descriptor.value.name);
    }
  }
  return null;
}

function isInstance(object, constructor) {
  try {
    return object instanceof constructor;
  } catch {
    return false;
  }
}

function prefixOf(constructor, tag, fallback, size = '') {
  if (constructor === null) {
    if (tag !== '' && fallback !== tag) return `[${fallback}${size}: null prototype] [${tag}] `;
    return `[${fallback}${size}: null prototype] `;
  }
  if (tag !== '' && constructor !== tag) return `${constructor}${size} [${tag}] `;
  return `${constructor}${size} `;
}

function ownKeys(value, showHidden) {
  const symbols = Object.getOwnPropertySymbols(value);
  if (showHidden) return [...Object.getOwnPropertyNames(value), ...symbols];
  const isEnumerable = (key) => Object.prototype.propertyIsEnumerable.call(value, key);
  return [...Object.keys(value), ...symbols.filter(isEnumerable)];
}

const isIndex = (key) => typeof key === 'string' && /^(0|[1-9]\d{0,9})$/.test(key) && Number(key) < 2 ** 32 - 1;

function otherKeys(value, showHidden) {
  return ownKeys(value, showHidden).filter((key) => !isIndex(key));
}

function tagOf(value, constructor, context) {
  let tag = value[Symbol.toStringTag];
  if (typeof tag !== 'string' || tag === '') return '';
  const own = context.showHidden ? Object.hasOwn(value, Symbol.toStringTag) :
    Object.prototype.propertyIsEnumerable.call(value, Symbol.toStringTag);
  // One that is shown as a property is no news.
  if (own) return '';
  if (constructor !== '' && constructor === tag) tag = '';
  return tag;
}

function formatRaw(context, value, depth, isTyped) {
  const constructor = constructorName(value);
  const tag = tagOf(value, constructor, context);
  let keys;
  let base = '';
  let formatter = () => [];
  let braces = ['{', '}'];
  let kind = 'object';

  const sized = (name, size) => prefixOf(constructor, tag, name, `(${size})`);

  if (Array.isArray(value)) {
    keys = otherKeys(value, context.showHidden);
    const prefix = constructor !== 'Array' || tag !== '' ? sized('Array', value.length) : '';
    braces = [`${prefix}[`, ']'];
    if (value.length === 0 && keys.length === 0) return `${braces[0]}]`;
    kind = 'array';
    formatter = formatArray;
  } else if (types.isSet(value)) {
    keys = ownKeys(value, context.showHidden);
    const size = setSize.call(value);
    if (size === 0 && keys.length === 0) return `${sized('Set', size)}{}`;
    braces = [`${sized('Set', size)}{`, '}'];
    formatter = formatSet;
  } else if (types.isMap(value)) {
    keys = ownKeys(value, context.showHidden);
    const size = mapSize.call(value);
    if (size === 0 && keys.length === 0) return `${sized('Map', size)}{}`;
    braces = [`${sized('Map', size)}{`, '}'];
    formatter = formatMap;
  } else if (types.isTypedArray(value)) {
    keys = otherKeys(value, context.showHidden);
    const name = typedName.call(value);
    const prefix = sized(name, value.length);
    braces = [`${prefix}[`, ']'];
    if (value.length === 0 && keys.length === 0 && !context.showHidden) return `${braces[0]}]`;
    kind = 'array';
    formatter = formatTypedArray;
  } else if (types.isMapIterator(value)) {
    keys = ownKeys(value, context.showHidden);
    braces = [`[${tag || 'Map Iterator'}] {`, '}'];
    formatter = formatIterator;
  } else if (types.isSetIterator(value)) {
    keys = ownKeys(value, context.showHidden);
    braces = [`[${tag || 'Set Iterator'}] {`, '}'];
    formatter = formatIterator;
  } else {
    keys = ownKeys(value, context.showHidden);
    if (types.isArgumentsObject(value)) {
      braces[0] = '[Arguments] {';
      if (keys.length === 0) return `${braces[0]}}`;
    } else if (typeof value === 'function') {
      base = functionBase(value, constructor, tag);
      if (keys.length === 0) return context.stylize(base, 'special');
    } else if (types.isRegExp(value)) {
      base = RegExp.prototype.toString.call(constructor !== null ? value : new RegExp(value));
      const prefix = prefixOf(constructor, tag, 'RegExp');
      if (prefix !== 'RegExp ') base = `${prefix}${base}`;
      if (keys.length === 0 || isTooDeep(context, depth)) return context.stylize(base, 'regexp');
    } else if (types.isDate(value)) {
      base = Number.isNaN(Date.prototype.getTime.call(value)) ?
        Date.prototype.toString.call(value) : Date.prototype.toISOString.call(value);
      const prefix = prefixOf(constructor, tag, 'Date');
      if (prefix !== 'Date ') base = `${prefix}${base}`;
      if (keys.length === 0) return context.stylize(base, 'date');
    } else if (types.isNativeError(value) || value instanceof Error) {
      base = formatError(context, value, constructor, tag, keys);
      if (keys.length === 0) return base;
    } else if (types.isAnyArrayBuffer(value)) {
      const prefix = prefixOf(constructor, tag, types.isArrayBuffer(value) ? 'ArrayBuffer' : 'SharedArrayBuffer');
      if (!isTyped) formatter = formatArrayBuffer;
      else if (keys.length === 0) return `${prefix}{ byteLength: ${numberText(context, value.byteLength)} }`;
      braces[0] = `${prefix}{`;
      keys.unshift('byteLength');
    } else if (types.isDataView(value)) {
      braces[0] = `${prefixOf(constructor, tag, 'DataView')}{`;
      keys.unshift('byteLength', 'byteOffset', 'buffer');
    } else if (types.isPromise(value)) {
      braces[0] = `${prefixOf(constructor, tag, 'Promise')}{`;
      formatter = formatPromise;
    } else if (types.isWeakSet(value) || types.isWeakMap(value)) {
      braces[0] = `${prefixOf(constructor, tag, types.isWeakSet(value) ? 'WeakSet' : 'WeakMap')}{`;
      formatter = () => [context.stylize('<items unknown>', 'special')];
    } else if (types.isWeakRef(value)) {
      braces[0] = `${prefixOf(constructor, tag, 'WeakRef')}{`;
      formatter = () => {
        const target = value.deref();
        return [target === undefined ? context.stylize('<cleared>', 'special') : formatValue(context, target, depth)];
      };
    } else if (types.isModuleNamespaceObject(value)) {
      braces[0] = `${prefixOf(constructor, tag, 'Module')}{`;
    } else if (types.isBoxedPrimitive(value)) {
      base = boxedBase(context, value, keys, constructor, tag);
      if (types.isStringObject(value)) keys = keys.filter((key) => !isIndex(key));
      if (keys.length === 0) return base;
    } else {
      if (keys.length === 0) {
        if (types.isExternal(value)) return context.stylize('[External]', 'special');
        return `${objectPrefix(constructor, tag)}{}`;
      }
      braces[0] = `${objectPrefix(constructor, tag)}{`;
    }
  }

  if (isTooDeep(context, depth)) {
    let name = prefixOf(constructor, tag, Array.isArray(value) ? 'Array' : 'Object').slice(0, -1);
    if (constructor !== null) name = `[${name}]`;
    return context.stylize(name, 'special');
  }
  depth += 1;
  context.seen.push(value);
  context.level = depth;
  let output;
  try {
    output = formatter(context, value, depth);
    for (const key of keys) output.push(formatProperty(context, value, depth, key, kind));
  } catch (error) {
    return handleOverflow(context, error, constructor, tag);
  }
  if (context.circular !== undefined) {
    const index = context.circular.get(value);
    if (index !== undefined) {
      const mark = context.stylize(`<ref *${index}>`, 'special');
      if (context.compact !== true) base = base === '' ? mark : `${mark} ${base}`;
      else braces[0] = `${mark} ${braces[0]}`;
    }
  }
  context.seen.pop();
  if (context.sorted) {
    const compare = context.sorted === true ? undefined : context.sorted;
    if (kind === 'object') {
      output.sort(compare);
    } else {
      const elements = output.length - keys.length;
      output = [...output.slice(0, elements), ...output.slice(elements).sort(compare)];
    }
  }
  return reduceToLines(context, output, base, braces, kind, depth, value);
}

function isTooDeep(context, depth) {
  return context.depth !== null && depth > context.depth;
}

function handleOverflow(context, error, constructor, tag) {
  if (!(error instanceof RangeError) && error?.name !== 'InternalError') throw error;
  context.seen.pop();
  return context.stylize(`[${prefixOf(constructor, tag, 'Object').slice(0, -1)}: ` +
    'Inspection interrupted prematurely. Maximum call stack size exceeded.]', 'special');
}

function objectPrefix(constructor, tag) {
  if (constructor === 'Object' && tag === '') return '';
  return prefixOf(constructor, tag, 'Object');
}

const getterOf = (prototype, name) => Object.getOwnPropertyDescriptor(prototype, name).get;
const setSize = getterOf(Set.prototype, 'size');
const mapSize = getterOf(Map.prototype, 'size');
const typedName = getterOf(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag);

function functionBase(value, constructor, tag) {
  const source = Function.prototype.toString.call(value);
  if (source.startsWith('class') && source.endsWith('}')) return classBase(value, constructor, tag);
  let type = 'Function';
  if (types.isGeneratorFunction(value)) type = `Generator${type}`;
  if (types.isAsyncFunction(value)) type = `Async${type}`;
  let base = `[${type}`;
  if (constructor === null) base += ' (null prototype)';
  base += value.name === '' ? ' (anonymous)' : `: ${typeof value.name === 'string' ? value.name : inspect(value.name)}`;
  base += ']';
  if (constructor !== type && constructor !== null) base += ` ${constructor}`;
  if (tag !== '' && constructor !== tag) base += ` [${tag}]`;
  return base;
}

function classBase(value, constructor, tag) {
  const name = Object.hasOwn(value, 'name') && value.name;
  let base = `[class${name ? ` ${name}` : ' (anonymous)'}`;
  if (constructor !== 'Function' && constructor !== null) base += ` [${constructor}]`;
  if (tag !== '' && constructor !== tag) base += ` [${tag}]`;
  if (constructor !== null) {
    const superName = Object.getPrototypeOf(value).name;
    if (superName) base += ` extends ${superName}`;
  } else {
    base += ' extends null';
  }
  return `${base}]`;
}

function boxedBase(context, value, keys, constructor, tag) {
  const [type, primitive] =
    types.isNumberObject(value) ? ['Number', Number.prototype.valueOf.call(value)] :
      types.isStringObject(value) ? ['String', String.prototype.valueOf.call(value)] :
        types.isBooleanObject(value) ? ['Boolean', Boolean.prototype.valueOf.call(value)] :
          types.isBigIntObject(value) ? ['BigInt', BigInt.prototype.valueOf.call(value)] :
            ['Symbol', Symbol.prototype.valueOf.call(value)];
  let base = `[${type}`;
  if (type !== constructor) base += constructor === null ? ' (null prototype)' : ` (${constructor})`;
  base += `: ${formatPrimitive({ ...context, stylize: (text) => text, indentation: 0 }, primitive)}]`;
  if (tag !== '' && tag !== constructor) base += ` [${tag}]`;
  return context.stylize(base, type.toLowerCase());
}

// Errors.

function stackOf(error) {
  return error.stack ? String(error.stack) : Error.prototype.toString.call(error);
}

function formatError(context, error, constructor, tag, keys) {
  const name = error.name != null ? String(error.name) : 'Error';
  let stack = stackOf(error);
  // What the stack shows already.
  if (!context.showHidden && keys.length > 0) {
    for (const key of ['name', 'message', 'stack']) {
      const place = keys.indexOf(key);
      if (place !== -1 && (typeof error[key] !== 'string' || stack.includes(error[key]))) keys.splice(place, 1);
    }
  }
  for (const key of ['cause', 'errors']) {
    if (key in error && Object.hasOwn(error, key) && !keys.includes(key) &&
        (key !== 'errors' || Array.isArray(error.errors))) keys.push(key);
  }
  stack = improveStack(stack, constructor, name, tag);
  // Without a frame it is in brackets.
  const start = (error.message && stack.indexOf(error.message)) || -1;
  const end = start === -1 ? 0 : start + error.message.length;
  if (stack.indexOf('\n    at', end) === -1) stack = `[${stack}]`;
  if (context.indentation !== 0) stack = stack.replaceAll('\n', `\n${' '.repeat(context.indentation)}`);
  return stack;
}

// The class's name where the stack has only that of its base.
function improveStack(stack, constructor, name, tag) {
  let shown = name;
  if (constructor === null) {
    const start = /^([A-Z][a-z_ A-Z0-9[\]()-]+)(?::|\n\s+at)/.exec(stack) ?? /^([a-z_A-Z0-9-]*Error)$/.exec(stack);
    shown = start?.[1] || '';
    return `[${shown || 'Error'}: null prototype]${stack.slice(shown.length)}`;
  }
  if (constructor !== name && (name.endsWith('Error') && stack.startsWith(name)) &&
      [':', '\n', undefined, ' '].includes(stack[name.length]) && !stack.startsWith(constructor)) {
    if (constructor.includes(name)) {
      return `${constructor}${stack.slice(name.length)}`;
    }
    return `${constructor} [${name}]${stack.slice(name.length)}`;
  }
  void tag;
  return stack;
}

// Elements.

const remaining = (count) => `... ${count} more item${count > 1 ? 's' : ''}`;

function formatArray(context, value, depth) {
  const length = value.length;
  const shown = Math.min(Math.max(0, context.maxArrayLength), length);
  const output = [];
  let index = 0;
  // Holes are counted together, and count as one of what is shown.
  while (index < length && output.length < shown) {
    if (Object.hasOwn(value, index)) {
      output.push(formatProperty(context, value, depth, String(index), 'element'));
      index++;
      continue;
    }
    let end = index;
    while (end < length && !Object.hasOwn(value, end)) end++;
    const holes = end - index;
    output.push(context.stylize(`<${holes} empty item${holes > 1 ? 's' : ''}>`, 'undefined'));
    index = end;
  }
  if (index < length) output.push(remaining(length - index));
  return output;
}

function formatTypedArray(context, value, depth) {
  const length = value.length;
  const shown = Math.min(Math.max(0, context.maxArrayLength), length);
  const output = [];
  for (let index = 0; index < shown; index++) output.push(formatPrimitive(context, value[index]));
  if (shown < length) output.push(remaining(length - shown));
  if (context.showHidden) {
    context.indentation += 2;
    for (const key of ['BYTES_PER_ELEMENT', 'length', 'byteLength', 'byteOffset', 'buffer']) {
      output.push(`[${key}]: ${formatValue(context, value[key], depth, true)}`);
    }
    context.indentation -= 2;
  }
  return output;
}

function formatArrayBuffer(context, value) {
  let bytes;
  try {
    bytes = new Uint8Array(value);
  } catch {
    return [context.stylize('(detached)', 'special')];
  }
  const shown = Math.min(Math.max(0, context.maxArrayLength), bytes.length);
  let text = Array.from(bytes.subarray(0, shown), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  const rest = bytes.length - shown;
  if (rest > 0) text += ` ... ${rest} more byte${rest > 1 ? 's' : ''}`;
  return [`${context.stylize('[Uint8Contents]', 'special')}: <${text}>`];
}

function formatSet(context, value, depth) {
  return formatEntries(context, Set.prototype.values.call(value), setSize.call(value), (element) => formatValue(context, element, depth));
}

function formatMap(context, value, depth) {
  return formatEntries(context, Map.prototype.entries.call(value), mapSize.call(value), ([key, element]) =>
    `${formatValue(context, key, depth)} => ${formatValue(context, element, depth)}`);
}

function formatEntries(context, iterator, size, format) {
  const shown = Math.min(Math.max(0, context.maxArrayLength), size);
  const output = [];
  context.indentation += 2;
  for (const entry of iterator) {
    if (output.length >= shown) break;
    output.push(format(entry));
  }
  context.indentation -= 2;
  if (shown < size) output.push(remaining(size - shown));
  return output;
}

// The engine does not let us look ahead in an iterator without moving it.
function formatIterator(context) {
  return [context.stylize('<items unknown>', 'special')];
}

function formatPromise(context, value, depth) {
  const [state, result] = promiseDetails(value);
  if (state === 0) return [context.stylize('<pending>', 'special')];
  context.indentation += 2;
  const text = formatValue(context, result, depth);
  context.indentation -= 2;
  return [state === 2 ? `${context.stylize('<rejected>', 'special')} ${text}` : text];
}

function formatProperty(context, value, depth, key, kind) {
  const descriptor = Object.getOwnPropertyDescriptor(value, key) ??
    { value: value[key], configurable: true, enumerable: true };
  let text;
  let separator = ' ';
  if (descriptor.value !== undefined || !(descriptor.get !== undefined || descriptor.set !== undefined)) {
    const indent = context.compact !== true || kind !== 'object' ? 2 : 3;
    context.indentation += indent;
    text = formatValue(context, descriptor.value, depth);
    if (indent === 3 && context.breakLength < stripColors(text).length) separator = `\n${' '.repeat(context.indentation)}`;
    context.indentation -= indent;
  } else if (descriptor.get !== undefined) {
    text = formatGetter(context, value, descriptor, depth);
  } else {
    text = context.stylize('[Setter]', 'special');
  }
  if (kind === 'element') return text;
  let name;
  if (typeof key === 'symbol') {
    name = `[${context.stylize(symbolText(key), 'symbol')}]`;
  } else if (key === '__proto__') {
    name = "['__proto__']";
  } else if (descriptor.enumerable === false) {
    name = `[${key}]`;
  } else if (IDENTIFIER.test(key)) {
    name = context.stylize(key, 'name');
  } else {
    name = context.stylize(quote(key), 'string');
  }
  return `${name}:${separator}${text}`;
}

function formatGetter(context, value, descriptor, depth) {
  const label = descriptor.set !== undefined ? 'Getter/Setter' : 'Getter';
  const wanted = context.getters === true ||
    (context.getters === 'get' && descriptor.set === undefined) ||
    (context.getters === 'set' && descriptor.set !== undefined);
  if (!wanted) return context.stylize(`[${label}]`, 'special');
  try {
    const result = descriptor.get.call(value);
    context.indentation += 2;
    const text = result === null || typeof result !== 'object' ?
      `${context.stylize(`[${label}:`, 'special')} ${formatPrimitive(context, result)}${context.stylize(']', 'special')}` :
      `${context.stylize(`[${label}]`, 'special')} ${formatValue(context, result, depth)}`;
    context.indentation -= 2;
    return text;
  } catch (error) {
    return context.stylize(`[${label}: <Inspection threw (${error.message})>]`, 'special');
  }
}

// Lines.

function reduceToLines(context, output, base, braces, kind, depth, value) {
  if (context.compact === true) {
    if (fits(context, output, 0, base)) {
      return `${braces[0]}${base ? ` ${base}` : ''} ${output.join(', ')} ${braces[1]}`;
    }
    const indentation = `\n${' '.repeat(context.indentation)}`;
    const line = base === '' && braces[0].length === 1 ? ' ' : `${base ? ` ${base}` : ''}${indentation}  `;
    return `${braces[0]}${line}${output.join(`,${indentation}  `)} ${braces[1]}`;
  }
  const start = base ? `${base} ` : '';
  if (typeof context.compact === 'number' && context.compact >= 1) {
    const entries = output.length;
    if (kind === 'array' && entries > 6) output = groupElements(context, output, value);
    // The innermost levels go on one line if they fit. What is grouped does not.
    if (context.level - depth < context.compact && entries === output.length) {
      const length = output.length + context.indentation + braces[0].length + base.length + 10;
      if (fits(context, output, length, base)) {
        const joined = output.join(', ');
        if (!joined.includes('\n')) return `${start}${braces[0]} ${joined} ${braces[1]}`;
      }
    }
  }
  const indentation = `\n${' '.repeat(context.indentation)}`;
  return `${start}${braces[0]}${indentation}  ${output.join(`,${indentation}  `)}${indentation}${braces[1]}`;
}

function fits(context, output, start, base) {
  let total = output.length + start;
  if (total + output.length > context.breakLength) return false;
  for (const entry of output) {
    total += (context.colors ? stripColors(entry) : entry).length;
    if (total > context.breakLength) return false;
  }
  return base === '' || !base.includes('\n');
}

// How many columns a text takes on a terminal.
function widthOf(text) {
  let width = 0;
  for (const letter of stripColors(text).normalize('NFC')) {
    const code = letter.codePointAt(0);
    if (isWide(code)) width += 2;
    else if (!(code <= 0x1f || (code >= 0x7f && code <= 0x9f) || (code >= 0x300 && code <= 0x36f) ||
      (code >= 0x200b && code <= 0x200f) || (code >= 0xfe00 && code <= 0xfe0f))) width += 1;
  }
  return width;
}

function isWide(code) {
  return code >= 0x1100 && (code <= 0x115f || (code >= 0x2e80 && code <= 0x3247 && code !== 0x303f) ||
    (code >= 0x3250 && code <= 0x4dbf) || (code >= 0x4e00 && code <= 0xa4c6) ||
    (code >= 0xa960 && code <= 0xa97c) || (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) || (code >= 0xfe30 && code <= 0xfe6b) ||
    (code >= 0xff01 && code <= 0xff60) || (code >= 0xffe0 && code <= 0xffe6) ||
    (code >= 0x1f300 && code <= 0x1f64f) || (code >= 0x1f900 && code <= 0x1f9ff) ||
    (code >= 0x20000 && code <= 0x3fffd));
}

// Puts the elements of an array in columns, so that it is about two and a half times as wide as high.
function groupElements(context, output, value) {
  let total = 0;
  let widest = 0;
  let count = output.length;
  // "... more items" stands alone.
  if (value !== undefined && context.maxArrayLength < value.length && output.length > context.maxArrayLength) count--;
  const separator = 2;
  const widths = [];
  for (let index = 0; index < count; index++) {
    const width = widthOf(output[index]);
    widths.push(width);
    total += width + separator;
    widest = Math.max(widest, width);
  }
  const column = widest + separator;
  if (column * 3 + context.indentation >= context.breakLength ||
      !(total / column > 5 || widest <= 6)) return output;
  const biased = Math.max(column - 3 - Math.sqrt(column - total / output.length), 1);
  const columns = Math.min(
    Math.round(Math.sqrt(2.5 * biased * count) / biased),
    Math.floor((context.breakLength - context.indentation) / column),
    context.compact * 4,
    15,
  );
  return inColumns(output, value, count, columns, widths, separator);
}

function inColumns(output, value, count, columns, widths, separator) {
  if (columns <= 1) return output;
  const lineWidths = [];
  for (let column = 0; column < columns; column++) {
    let width = 0;
    for (let index = column; index < count; index += columns) width = Math.max(width, widths[index]);
    lineWidths.push(width + separator);
  }
  // Numbers stand at the right.
  const atRight = value !== undefined && Array.prototype.every.call(
    Array.prototype.slice.call(value, 0, count), (one) => typeof one === 'number' || typeof one === 'bigint');
  const lines = [];
  for (let first = 0; first < count; first += columns) {
    const end = Math.min(first + columns, count);
    let line = '';
    for (let index = first; index < end; index++) {
      const isLast = index === end - 1;
      const text = isLast ? output[index] : `${output[index]}, `;
      const width = lineWidths[index - first] - (isLast ? separator : 0);
      const padding = ' '.repeat(Math.max(0, width - widths[index] - (isLast ? 0 : separator)));
      if (atRight) line += padding + text;
      else line += isLast ? text : text + padding;
    }
    lines.push(line);
  }
  if (count < output.length) lines.push(output[count]);
  return lines;
}

// Formats, as of `console.log('%s', …)`.

function formatWithOptions(options, ...args) {
  const inspectWith = (value, more) => inspect(value, { ...options, compact: 3, colors: false, depth: 2, ...options, ...more });
  if (args.length === 1 && typeof args[0] === 'string') return args[0];
  let text = '';
  let index = 0;
  if (typeof args[0] === 'string' && args.length > 1) {
    index = 1;
    text = args[0].replace(/%[sdifjoOc%]/g, (mark) => {
      if (mark === '%%') return '%';
      if (index >= args.length) return mark;
      return formatMark(mark, args[index++], options, inspectWith);
    });
    // Behind the last argument a doubled mark stays as it is in no case.
  }
  const rest = args.slice(index).map((value) => (typeof value === 'string' ? value : inspect(value, options)));
  if (index === 0) return rest.join(' ');
  return rest.length === 0 ? text : `${text} ${rest.join(' ')}`;
}

function formatMark(mark, value, options, inspectWith) {
  switch (mark) {
    case '%s':
      if (typeof value === 'string') return value;
      if (typeof value === 'number') return formatNumber(value);
      if (typeof value === 'bigint') return `${value}n`;
      if (typeof value === 'object' && value !== null && !hasOwnText(value)) {
        return inspect(value, { ...options, depth: 0, colors: false, compact: 3 });
      }
      return String(value);
    case '%d':
      if (typeof value === 'bigint') return `${value}n`;
      if (typeof value === 'symbol') return 'NaN';
      return formatNumber(Number(value));
    case '%i':
      if (typeof value === 'bigint') return `${value}n`;
      if (typeof value === 'symbol') return 'NaN';
      return formatNumber(parseInt(value));
    case '%f':
      return typeof value === 'symbol' ? 'NaN' : formatNumber(parseFloat(value));
    case '%j':
      try {
        return JSON.stringify(value);
      } catch (error) {
        if (/circular/i.test(error.message)) return '[Circular]';
        throw error;
      }
    case '%o':
      return inspectWith(value, { showHidden: true, showProxy: true, depth: 4 });
    case '%O':
      return inspect(value, options);
    default:
      return ''; // CSS.
  }
}

// Whether an object's class says how it is a string.
function hasOwnText(value) {
  if (isProxy(value)) return false;
  if (types.isNativeError(value) || types.isDate(value)) return typeof value.toString === 'function' && types.isNativeError(value) && Object.hasOwn(value, 'toString');
  if (typeof value.toString !== 'function') return Symbol.toPrimitive in value;
  if (Object.hasOwn(value, 'toString')) return true;
  let prototype = value;
  do {
    prototype = Object.getPrototypeOf(prototype);
  } while (prototype !== null && !Object.hasOwn(prototype, 'toString'));
  const descriptor = prototype && Object.getOwnPropertyDescriptor(prototype, 'constructor');
  return descriptor !== undefined && descriptor !== null && typeof descriptor.value === 'function' &&
    !BUILT_IN.has(descriptor.value.name);
}

const BUILT_IN = new Set(Object.getOwnPropertyNames(globalThis).filter((name) => /^[A-Z][a-zA-Z0-9]+$/.test(name)));

const format = (...args) => formatWithOptions({}, ...args);

module.exports = { format, formatWithOptions, inspect, widthOf };
