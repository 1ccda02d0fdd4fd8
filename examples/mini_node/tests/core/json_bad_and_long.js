// Why a text is no JSON is found in about the time that it takes to parse one, and the text is asked for once.
const timed = (text) => {
  let best = Infinity;
  let said = 'none';
  for (let round = 0; round < 10; round++) {
    const began = process.hrtime.bigint();
    try { JSON.parse(text); } catch (error) { said = error.message; }
    best = Math.min(best, Number(process.hrtime.bigint() - began) / 1e6);
  }
  return [best, said];
};
const list = '[' + '1,'.repeat(200_000);
const members = '{' + '"a": "b" ,\n'.repeat(60_000);
const deep = '[' + '{"a":[1,{"b":[]}]},'.repeat(20_000);
const string = '["' + 'x'.repeat(1e6) + '\\n';
for (const [bad, end] of [[list, '1]'], [members, '"b":1}'], [deep, '1]'], [string, '"]']]) {
  const [valid] = timed(bad + end);
  const [time, said] = timed(bad + '?');
  console.log(said, time < 25 * (valid + 4) || `${time} ms, and ${valid} for a good one`);
}
let asked = 0;
for (const text of ['{', '{x']) {
  try {
    JSON.parse({ toString() { asked++; return asked % 2 === 1 ? text : '1'; } });
  } catch (error) {
    console.log(asked, error.message);
  }
  asked = 0;
}
