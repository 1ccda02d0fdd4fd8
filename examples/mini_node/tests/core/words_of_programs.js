'use strict';
// What a program says itself stays, though the engine would say the same; and of what is read-only the kind is told.
const said = (f) => { try { f(); return 'nothing'; } catch (error) { return `${error.name}: ${error.message.replace(/ '#<.*/, '')}`; } };
for (const text of ["'name' is read-only", 'toPrimitive', 'circular reference', 'empty array', 'unexpected end']) {
  console.log(new TypeError(text).message, '|', RangeError(text).message, '|', said(() => { throw new SyntaxError(text); }));
  const made = new TypeError(
    text,
  );
  console.log(made.message, '|', Reflect.construct(TypeError, [text]).message, '|', TypeError.call(null, text).message);
}
const frozen = Object.freeze({ x: 1, y: { z: 1 } });
const x = 1;
for (const f of [
  () => { frozen.x = 2; }, () => { frozen['x'] = 2; }, () => { frozen
    .x = 2; }, () => { (frozen).x = 2; }, () => { [frozen.x] = [2]; }, () => { frozen.x++; }, () => { Object.assign(frozen, { x: 2 }); },
  () => { x = 2; }, () => { [x] = [2]; }, () => { x++; }, () => { ({ x } = { x: 1 }); }, () => { for (x of [1]); },
  () => { for (x of [frozen.x]); }, () => { x
    = 3; }, () => { x += frozen.x; }, () => { x = 1 + frozen.y.z; }, () => { frozen.x = x; }, () => { frozen.x = 1 + x; }, () => { frozen['x'] += x; },
  () => eval('"use strict"; const a = 1; a = 2'), () => new Function('const a = 1; a = 2')(),
]) console.log(said(f));
// Errors that are caught by the thousand cost no more for a long file.
const file = require('path').join(require('os').tmpdir(), `mini_node_words_${process.pid}.js`);
const { unlinkSync, writeFileSync } = require('fs');
const body = `'use strict'; const o = Object.freeze({ x: 1 }); let n = 0;
module.exports = () => { for (let i = 0; i < 300; i++) try { o.x = 2 } catch { n++ } return n; };\n`;
const timeOf = (filler) => {
  writeFileSync(file, body + filler);
  delete require.cache[file];
  const run = require(file);
  let best = Infinity;
  for (let round = 0; round < 10; round++) {
    const began = process.hrtime.bigint();
    run();
    best = Math.min(best, Number(process.hrtime.bigint() - began) / 1e6);
  }
  console.log(run());
  return best;
};
try {
  const [short, long] = [timeOf(''), timeOf('// filler\n'.repeat(100_000))];
  console.log(long < 10 * (short + 20) || `${long} ms, and ${short} of a short one`);
} finally {
  unlinkSync(file);
}
