// The way from a live program to the page: server-sent events.
//
// The picture is taken at a pace that an eye can follow. To pause freezes the picture: what comes
// meanwhile is let go, and never the program is stopped. To go on asks for all that there is anew.

import { inOrder, parse, parseSummary } from "./events.js";
import { blockedWords } from "./words.js";

/** So often a second a picture is taken. */
const PACES = [1, 2, 5, 10];

/** After so long one asks again who has refused, as while too many look on. */
const AGAIN = 2000;

/** So many events wait for the next picture at most: a page that nobody sees takes one a minute. */
export const BATCH_MAX = 20_000;

/** So long the picture waits while a button is pressed, in milliseconds. */
const PRESS_MAX = 1000;

/** A live program, as `context.live`. It begins at once. */
export class Feed {
  constructor(context) {
    this.context = context;
    this.paused = false;
    this.connected = false;
    this.ended = false; // The program has ended: what there is stays to be looked at.
    this.sought = false; // Nobody was there when one looked for it after that.
    this.pace = context.store.get("pace", 5);
    this.summary = null; // What the server has told last of the whole program.
    this.missed = 0; // How many events came while the picture was paused.
    this.batch = [];
    this.pressed = null; // Since when something on the page is pressed: it is not to be drawn anew below the finger.
    addEventListener("pointerdown", ({ button, timeStamp }) => (this.pressed = button === 0 ? timeStamp : null), true);
    // A menu and the list of a choice keep the end of a press for themselves.
    for (const name of ["pointerup", "pointercancel", "contextmenu", "change"]) addEventListener(name, () => (this.pressed = null), true);
    addEventListener("blur", () => (this.pressed = null)); // Of the window, not of what is in it.
    this.open();
    this.openSummaries();
    this.setPace(this.pace);
  }

  open() {
    this.source?.close();
    this.batch = [];
    this.missed = 0;
    this.source = this.stream("api/events", () => this.open());
    this.source.addEventListener("open", () => this.told({ connected: true }));
    this.source.addEventListener("error", () => this.told({ connected: false }));
    this.source.addEventListener("message", ({ data }) => this.came(parse(data)));
  }

  openSummaries() {
    this.summaries = this.stream("api/summary", () => this.openSummaries());
    this.summaries.addEventListener("summary", ({ data }) => this.sum(parseSummary(data)));
  }

  /**
   * A stream of events. If it breaks off, the browser tries again by itself, and gets all that there is. If
   * it is refused the browser does not: then `again` is called a little later.
   */
  stream(path, again) {
    const source = new EventSource(path);
    source.addEventListener("end", () => this.end());
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED && !this.ended) setTimeout(() => this.ended || again(), AGAIN);
    });
    return source;
  }

  /** After the end: perhaps the program has been started again. */
  async look() {
    const isThere = await this.context.api.get("api/about").then(() => true, () => false);
    if (isThere) location.reload();
    else this.told({ sought: true });
  }

  end() {
    this.pressed = null;
    this.take();
    this.source.close();
    this.summaries.close();
    this.told({ connected: false, ended: true });
  }

  setPace(pace) {
    this.pace = pace;
    this.context.store.set("pace", pace);
    clearInterval(this.timer);
    this.timer = setInterval(() => this.take(), 1000 / pace);
    this.context.changed();
  }

  /** A pace faster, or slower. */
  faster(by) {
    const at = PACES.indexOf(this.pace) + by;
    this.setPace(PACES[Math.min(Math.max(0, at), PACES.length - 1)]);
  }

  told(change) {
    Object.assign(this, change);
    this.context.changed();
  }

  sum(summary) {
    // Said once to who cannot see it, not again with each moment more.
    const known = new Set(this.summary?.blocked.map((one) => one.track));
    const news = summary.blocked.filter((one) => !known.has(one.track));
    if (news.length > 0) this.context.announce(news.map(blockedWords).join(" "));
    else if (known.size > 0 && summary.blocked.length === 0) this.context.announce("No loop is blocked any more.");
    this.told({ summary });
  }

  came(events) {
    if (this.paused) return this.told({ missed: this.missed + events.length });
    // With this word a stream begins: what was known of the program is to be forgotten.
    if (events[0]?.what === "meta") {
      this.batch = [];
      this.begins = true;
    }
    this.batch.push(...events);
    if (this.batch.length >= BATCH_MAX) this.take();
  }

  isHeld() {
    return this.pressed !== null && performance.now() - this.pressed < PRESS_MAX;
  }

  /** A picture: all that came since the last one. */
  take() {
    if (this.paused || this.batch.length === 0 || this.isHeld()) return;
    const events = inOrder(this.batch.splice(0));
    if (this.begins) this.context.load(events);
    else this.context.append(events);
    this.begins = false;
    this.context.follow();
  }

  pause() {
    if (this.paused) return;
    this.take();
    // What is held back below a finger is missed.
    this.told({ paused: true, missed: this.batch.splice(0).length });
    this.context.announce("The picture is paused. The program goes on.");
  }

  goOn() {
    if (!this.paused || this.ended) return;
    this.told({ paused: false });
    this.open();
    this.context.announce("The picture goes on.");
  }

  toggle() {
    if (this.paused) this.goOn();
    else this.pause();
  }
}
