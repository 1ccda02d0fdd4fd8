// Writes src/guide/live_view.svg: the pictures that the tests have taken of the screens, one below the
// other. `SHOTS=DIR npm test`, then `node guide.mjs DIR`.

import { readFileSync, writeFileSync } from "node:fs";

const SCREENS = [
  ["start", "1. Start: lessons, and a program as operations"],
  ["watch", "2. Watch: the wheel in a drain, what waits, the ledger"],
  ["predict", "3. Predict: the run stops at the first difference"],
  ["whatif", "4. What if: the same program with one change"],
  ["share", "5. Share: a link, and what can be taken away"],
  ["blocked", "6. Attached: a live server that a callback blocks"],
];
const WIDTH = 400;
const HEIGHT = 272;
const CAPTION = 20;

const folder = process.argv[2];
const screen = ([name, caption], at) => {
  const y = at * (HEIGHT + CAPTION + 8);
  const picture = readFileSync(`${folder}/${name}.webp`).toString("base64");
  return `<text class="windlass-live_view-text" x="0" y="${y + 14}">${caption}</text>\n` +
    `<image x="0.5" y="${y + CAPTION}" width="${WIDTH - 1}" height="${HEIGHT}" href="data:image/webp;base64,${picture}"/>\n` +
    `<rect class="windlass-live_view-frame" x="0.5" y="${y + CAPTION}" width="${WIDTH - 1}" height="${HEIGHT}"/>\n`;
};
const height = SCREENS.length * (HEIGHT + CAPTION + 8);
const text = `<svg xmlns="http://www.w3.org/2000/svg" class="windlass-live_view" viewBox="0 0 ${WIDTH} ${height}" width="960" role="img" aria-labelledby="windlass-live_view-title windlass-live_view-desc">
<title id="windlass-live_view-title">The screens of the live view</title>
<desc id="windlass-live_view-desc">Six screens: lessons with a program as blocks; the wheel with what waits and the ledger; a prediction; a program with one change; links and exports; a live server, whose loop is blocked by a callback that is named.</desc>
<style>
.windlass-live_view-text { font: 13px sans-serif; fill: #1f2328 }
.windlass-live_view-frame { fill: none; stroke: #9aa4af }
@media (prefers-color-scheme: dark) {
.windlass-live_view-text { fill: #e6edf3 }
}
</style>
${SCREENS.map(screen).join("")}</svg>
`;
writeFileSync(new URL("../../src/guide/live_view.svg", import.meta.url), text);
console.log(`${Math.round(text.length / 1024)} KiB`);
