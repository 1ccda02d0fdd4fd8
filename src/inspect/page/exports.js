// What a recording can be taken away as. All of it is made here: nothing is asked of a server.

import { sort, trackName } from "./words.js";

/** The events as they came, a JSON object a line. */
export const jsonLines = (events) => events.map((event) => `${JSON.stringify(event)}\n`).join("");

// ----- For Perfetto -----

/** In the format of Chrome's traces: slices, and arrows from what armed a callback to it. */
export function perfetto(state) {
  const micros = (nanos) => nanos / 1000;
  const lines = state.ledger;
  const names = Object.values(state.tracks).map(({ number, name }) => ({ ph: "M", name: "thread_name", pid: 1, tid: number, args: { name } }));
  const slice = (line) => ({
    ph: "X", pid: 1, tid: line.track, ts: micros(line.at), dur: micros(line.took ?? 0), cat: line.phase ?? "",
    name: line.label?.name ?? line.kind,
    args: { said: line.said.join(", "), phase: line.phase, iteration: line.iteration, statement: line.statement, place: line.place },
  });
  const sleep = (one) => ({ ph: "X", pid: 1, tid: one.track, ts: micros(one.at), dur: micros(one.until - one.at), cat: "sleep", name: "sleep", args: { woken_by: one.woken_by } });
  const jobs = Object.values(state.jobs).filter((job) => job.on !== null && job.on !== undefined && job.endedAt !== undefined);
  const job = (one) => ({ ph: "X", pid: 1, tid: one.on, ts: micros(one.startedAt), dur: micros(one.endedAt - one.startedAt), cat: "job", name: one.kind, args: {} });
  const byId = new Map(lines.map((line) => [line.id, line]));
  const arrows = lines.flatMap((line, at) => {
    const from = byId.get(state.jobs[line.cause]?.cause ?? line.cause);
    if (!from) return [];
    const flow = { cat: "armed", name: "armed", pid: 1, id: at + 1 };
    return [{ ...flow, ph: "s", tid: from.track, ts: micros(from.at) }, { ...flow, ph: "f", bp: "e", tid: line.track, ts: micros(line.at) }];
  });
  const sleeps = state.sleeps.filter((one) => one.until > one.at).map(sleep);
  return JSON.stringify({ traceEvents: [...names, ...lines.map(slice), ...sleeps, ...jobs.map(job), ...arrows] });
}

// ----- A picture -----

const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => ESCAPES[c]).replace(/[\u0000-\u0008\u000b-\u001f]/g, " ");

/** One colour a phase, as on the page; each box says the phase too. */
const COLOURS = {
  main: "#6b7280", timers: "#1d6fdc", pending: "#8a5cd6", idle: "#0f8f86", prepare: "#5f7f12", poll: "#c27a00", check: "#c2410c", close: "#b4236e",
  tick: "#15803d", microtask: "#15803d",
};

const BOX = { width: 190, height: 34, gap: 8, left: 120, top: 46 };

/** The callbacks as boxes, a column a thread, from top to bottom in the order in which they began. */
export function svg(state) {
  const lines = state.ledger;
  const tracks = [...new Set(lines.map((line) => line.track))];
  const width = BOX.left + tracks.length * (BOX.width + 30);
  const height = BOX.top + lines.length * (BOX.height + BOX.gap) + 20;
  const x = (line) => BOX.left + tracks.indexOf(line.track) * (BOX.width + 30);
  const y = (at) => BOX.top + at * (BOX.height + BOX.gap);
  const place = new Map(lines.map((line, at) => [line.id, at]));
  const heads = tracks.map((track, at) => `<text x="${BOX.left + at * (BOX.width + 30)}" y="30" font-weight="bold">${escaped(trackName(state, track))}</text>`);
  const box = (line, at) => {
    const kind = sort(line.kind, line.phase);
    const name = line.said.length ? `${line.kind}: ${line.said.join(", ")}` : line.kind;
    const short = name.length > 27 ? `${name.slice(0, 26)}…` : name;
    const by = place.get(state.jobs[line.cause]?.cause ?? line.cause);
    const arrow = by === undefined ? "" : `<path d="M ${x(lines[by]) - 4} ${y(by) + BOX.height / 2} H ${x(line) - 14 - (at % 6) * 5} V ${y(at) + BOX.height / 2} H ${x(line) - 2}" fill="none" stroke="#9aa4af" marker-end="url(#tip)"/>`;
    return `${arrow}<rect x="${x(line)}" y="${y(at)}" width="${BOX.width}" height="${BOX.height}" rx="5" fill="#fff" stroke="${COLOURS[kind] ?? COLOURS.main}" stroke-width="2"/>` +
      `<text x="${x(line) + 8}" y="${y(at) + 15}">${escaped(short)}</text>` +
      `<text x="${x(line) + 8}" y="${y(at) + 28}" fill="#57606a" font-size="10">${escaped(`${kind}${line.statement ? ` · ${line.statement}` : ""}`)}</text>` +
      `<text x="8" y="${y(at) + 21}" fill="#57606a">${escaped(`${line.at / 1e6} ms`)}</text>`;
  };
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="12">` +
    `<title>${escaped(state.meta?.program?.name ?? "a recording")}</title><rect width="100%" height="100%" fill="#fff"/>` +
    `<defs><marker id="tip" viewBox="0 0 6 6" refX="5" refY="3" markerWidth="6" markerHeight="6" orient="auto"><path d="M0 0 6 3 0 6z" fill="#9aa4af"/></marker></defs>` +
    `${heads.join("")}${lines.map(box).join("")}</svg>\n`;
}

// ----- The page itself, with the recording in it -----

const IMPORT = /(\bfrom\s+|\bimport\s*\(\s*)"\.\/([\w-]+\.js)"/g;

/**
 * This page in one file that opens without a server. A module of a file may load no other file, so
 * each becomes an entry of the import map, under a name instead of a path. `read(name)` is the text of
 * a file of the page.
 */
export async function page(events, read) {
  const modules = new Map();
  const waiting = ["app.js"];
  while (waiting.length > 0) {
    const name = waiting.pop();
    if (modules.has(name)) continue;
    const text = await read(name);
    if (text === null) continue; // A screen that this server does not have.
    for (const [, , other] of text.matchAll(IMPORT)) waiting.push(other);
    modules.set(name, text.replace(IMPORT, '$1"page/$2"'));
  }
  const url = (text) => `data:text/javascript;charset=utf-8,${encodeURIComponent(text)}`;
  const imports = Object.fromEntries([...modules].map(([name, text]) => [`page/${name}`, url(text)]));
  const sheets = [];
  const html = await read("index.html");
  for (const [, name] of html.matchAll(/<link rel="stylesheet" href="page\/([\w-]+\.css)">/g)) sheets.push(await read(name));
  // In a script element only the end of that element is more than text.
  const inert = (text) => text.replaceAll("<", "\\u003c");
  const policy = "default-src 'none'; script-src 'unsafe-inline' data:; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'";
  return html
    .replace(/<meta http-equiv="Content-Security-Policy"[^>]*>/, () => `<meta http-equiv="Content-Security-Policy" content="${policy}">`)
    .replace(/<link rel="stylesheet" href="page\/[\w-]+\.css">\s*/g, "")
    .replace(/<script type="module" src="page\/app.js"><\/script>/, () =>
      `<style>\n${sheets.join("\n")}</style>\n<script type="importmap">${inert(JSON.stringify({ imports }))}</script>\n` +
      `<script type="application/x-ndjson" id="recording">\n${inert(jsonLines(events))}</script>\n<script type="module">import "page/app.js";</script>`);
}
