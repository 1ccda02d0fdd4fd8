// A recording from a file of JSON lines. It needs no server.

import { inOrder, parse } from "./events.js";

/** How long such a file may be. */
const BYTES_MAX = 64 * 1024 * 1024;

/** Shows it from its beginning, or says why it cannot be shown. */
export async function open(context, file) {
  if (!file) return;
  if (file.size > BYTES_MAX) throw new Error(`${file.name} is too large: a recording has ${BYTES_MAX / 1024 / 1024} MiB at most.`);
  const events = inOrder(parse(await file.text()));
  if (!events.some((event) => event.what !== "error")) throw new Error(`${file.name} holds no events.`);
  context.load(events);
  context.open("watch");
}
