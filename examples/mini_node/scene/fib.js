'use strict';

// The slowest way to a Fibonacci number: a computation that takes a while.
exports.fib = function fib(n) {
  return n < 2 ? n : fib(n - 1) + fib(n - 2);
};
