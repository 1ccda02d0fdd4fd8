// console.table: rows and columns in a frame.
'use strict';

const { inspect, widthOf } = require('internal/inspect');

const show = (value) => inspect(value, { maxArrayLength: 3, breakLength: Infinity, depth: value !== null && typeof value === 'object' ? -1 : 0 });

module.exports = function table(data, chosen) {
  const names = chosen === undefined ? [] : [...chosen];
  const rows = [];
  let hasValues = false;
  const isMap = data instanceof Map;
  const isSet = data instanceof Set;
  const entries = isMap ? [...data].map(([key, value], index) => [index, { Key: key, Values: value }, true]) :
    isSet ? [...data].map((value, index) => [index, value]) :
      Object.keys(data).map((key) => [key, data[key]]);
  for (const [index, row] of entries) {
    const cells = {};
    let plain;
    if (row !== null && typeof row === 'object') {
      for (const key of Object.keys(row)) {
        if (chosen === undefined && !names.includes(key)) names.push(key);
        if (names.includes(key)) cells[key] = show(row[key]);
      }
    } else if (chosen === undefined) {
      plain = show(row);
      hasValues = true;
    }
    rows.push([String(index), cells, plain]);
  }
  const head = [isMap || isSet ? '(iteration index)' : '(index)', ...names, ...(hasValues ? ['Values'] : [])];
  const lines = rows.map(([index, cells, plain]) =>
    [index, ...names.map((name) => cells[name] ?? ''), ...(hasValues ? [plain ?? ''] : [])]);
  return draw(head, lines);
};

function draw(head, lines) {
  const widths = head.map((text, column) => Math.max(widthOf(text), ...lines.map((line) => widthOf(line[column]))) + 2);
  const row = (cells) => `│${cells.map((cell, column) =>
    ` ${cell}${' '.repeat(widths[column] - widthOf(cell) - 1)}`).join('│')}│`;
  const rule = (left, middle, right) => left + widths.map((width) => '─'.repeat(width)).join(middle) + right;
  return [rule('┌', '┬', '┐'), row(head), rule('├', '┼', '┤'), ...lines.map(row), rule('└', '┴', '┘')].join('\n');
}
