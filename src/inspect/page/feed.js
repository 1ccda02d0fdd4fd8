// The way from a live program to the page: server-sent events.
//
// The picture is taken at a pace that an eye can follow. To pause freezes the picture: what comes
// meanwhile is let go, and never the program is stopped. To go on asks for all that there is anew.

import { inOrder, parse, parseSummary } from "./events.js";
import { blockedWords } from "./words.js";

/** So often a second a picture is taken. */
const PACES = [1, 2, 5, 10];

/** A live program, as `context.live`. It begins at once. */
export class Feed {
  constructor(context) {
    this.context = context;
    this.paused = false;
    this.connected = false;
    this.ended = false; // The program has ended: what there is stays to be looked at.
    this.pace = context.store.get("pace", 5);
    this.summary = null; // What the server has told last of the whole program.
    this.missed = 0; // How many events came while the picture was paused.
    this.batch = [];
    this.open();
    this.summaries = new EventSource("api/summary");
    this.summaries.addEventListener("summary", ({ data }) => this.sum(parseSummary(data)));
    this.summaries.addEventListener("end", () => this.end());
    this.setPace(this.pace);
  }

  open() {
    this.source?.close();
    this.batch = [];
    this.missed = 0;
    this.source = new EventSource("api/events");
    this.source.addEventListener("open", () => this.told({ connected: true }));
    // The browser tries again by itself, and gets all that there is.
    this.source.addEventListener("error", () => this.told({ connected: false }));
    this.source.addEventListener("message", ({ data }) => this.came(parse(data)));
    this.source.addEventListener("end", () => this.end());
  }

  end() {
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
  }

  /** A picture: all that came since the last one. */
  take() {
    if (this.paused || this.batch.length === 0) return;
    const events = inOrder(this.batch.splice(0));
    if (this.begins) this.context.load(events);
    else this.context.append(events);
    this.begins = false;
    this.context.follow();
  }

  pause() {
    if (this.paused) return;
    this.take();
    this.told({ paused: true });
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
