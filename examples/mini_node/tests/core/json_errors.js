// What is no JSON, in V8's words.
const texts = [
  '{"a":}', '[1,]', 'abc', 'undefined', '[object Object]', 'NaN', '', '{', '[', '[1', '[1 2]', '{"a" 1}', '{"a":1 "b":2}',
  '{"a":1,}', '{a:1}', "{'a':1}", '"abc', '"a\nb"', '"\\x"', '"\\u12"', '-', '1e', '1.', '01', '1 2', 'tru', '{"a":1}}',
  '[1,2,3,4,5,6,7,8,9,10,11,12,x,13,14,15,16,17,18]', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '\n\n{\n"a": }',
  '[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18x', '[1,"a" "b"]', '{"a":"b" 5}', '[tru]', '[1,,2]', '[.5]', '[+1]',
  '[-x]', '["\t"]', '{"a":tru}', '[nulx]', '// no', ' [1, 2.5e-3, "\\u0041\\n", {"a": {}}, [], null, true] ',
];
for (const text of texts) {
  try {
    console.log(JSON.stringify(JSON.parse(text)));
  } catch (error) {
    console.log(JSON.stringify(text), error.name, error.message);
  }
}
// What a reviver throws is its own.
try {
  JSON.parse('[1]', () => { throw new SyntaxError('unexpected token: of the reviver'); });
} catch (error) {
  console.log(error.message);
}
console.log(JSON.parse('[1]', (key, value) => (key === '' ? value : value + 1)), JSON.parse.length, JSON.parse.name);
