// Links: program, prediction and place, packed into the fragment. A browser does not send that to any
// server, so nothing leaves the machine.

/** What a link unpacks to at most. */
const TEXT_MAX = 1_000_000;

const toBase64 = (bytes) => btoa(String.fromCodePoint(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const fromBase64 = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.codePointAt(0));

async function through(stream, bytes, most) {
  const reader = new Blob([bytes]).stream().pipeThrough(stream).getReader();
  const parts = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > most) throw new Error("the link holds too much");
    parts.push(value);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** A value as text that may stand in a link. */
export async function pack(value) {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  if (bytes.length > TEXT_MAX) throw new Error("the program is too long for a link");
  const packed = await through(new CompressionStream("deflate-raw"), bytes, TEXT_MAX);
  let text = "";
  // Not all at once: a call has only so many arguments.
  for (let at = 0; at < packed.length; at += 3 * 4096) text += toBase64(packed.subarray(at, at + 3 * 4096));
  return text;
}

/** The value again. Throws if the text is no such. */
export async function unpack(text) {
  try {
    const bytes = await through(new DecompressionStream("deflate-raw"), fromBase64(text), TEXT_MAX);
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new Error(`The link is damaged: ${error.message}`);
  }
}
