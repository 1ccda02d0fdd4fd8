// What is wrong with a script, in V8's words; also where it is only seen at the end.
const Module = require('module');
for (const source of [
  'function f() {', 'if (1) {', 'const a = [1, 2', 'const a =', 'x = {', 'x = { a: ', 'class A { m() {', 'x = `${', 'for (;;', 'a ? b', '(', 'a.',
  'do { } ', 'throw', 'async function f() { await', '++', '() =>', 'try {', 'try { } catch', 'try {} catch (', 'if (1) {}\nelse', 'var', '[...',
  '++1', '--1', '1++', 'x; ++1; y', 'try { }', 'try { } // none', '/(/', '/(?:/', 'x = /a(/;\ny', 'const x', 'break', 'continue', '/abc', '/* abc',
  '"abc', '1 = 2', '}', ')', 'x = {a b}', 'let x y', 'super()',
]) {
  try {
    new Module('/none.js')._compile(source, '/none.js');
    console.log(JSON.stringify(source), 'is right');
  } catch (error) {
    console.log(JSON.stringify(source), error.name, error.message);
  }
}
