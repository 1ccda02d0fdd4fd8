// Colours of a terminal.
'use strict';

const codes = {
  reset: [0, 0], bold: [1, 22], dim: [2, 22], italic: [3, 23], underline: [4, 24], blink: [5, 25],
  inverse: [7, 27], hidden: [8, 28], strikethrough: [9, 29],
  black: [30, 39], red: [31, 39], green: [32, 39], yellow: [33, 39], blue: [34, 39],
  magenta: [35, 39], cyan: [36, 39], white: [37, 39], gray: [90, 39], grey: [90, 39],
};

const names = {
  special: 'cyan', number: 'yellow', bigint: 'yellow', boolean: 'yellow', undefined: 'grey',
  null: 'bold', string: 'green', symbol: 'green', date: 'magenta', regexp: 'red', module: 'underline',
};

function colorize(text, style) {
  const code = codes[names[style]];
  return code === undefined ? text : `\u001b[${code[0]}m${text}\u001b[${code[1]}m`;
}

const stripColors = (text) => text.replace(/\u001b\[\d+m/g, '');

module.exports = { colorize, stripColors, styles: { codes, names } };
