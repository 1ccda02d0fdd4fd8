// The names and words of the system's errors, by their numbers.
'use strict';

const { errors } = internalBinding('uv');

// Numbers come as Node has them, below zero, or as the system has them.
const find = (number) => errors[-Math.abs(number)];

module.exports = {
  nameOf: (number) => find(number)?.[0] ?? `Unknown system error ${number}`,
  wordsOf: (number) => find(number)?.[1] ?? `Unknown system error ${number}`,
};
