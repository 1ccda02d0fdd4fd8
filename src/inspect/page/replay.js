// A recording that can be looked at in any moment.
//
// There is one function from events to states, and going back is going forward again from an earlier
// state. States share what has not changed, so keeping some of them costs little.

import { initial, step } from "./state.js";

/** A state is kept after each so many events. */
const EVERY = 200;

/** A recording of a live program keeps this many events at most. */
const EVENTS_MAX = 40_000;

export class Replay {
  constructor(events, first = initial(), most = EVENTS_MAX) {
    this.events = events;
    this.most = most;
    /** The states after 0, EVERY, 2 * EVERY, … events, as far as they were needed. */
    this.kept = [first];
    /** The state that was asked for last, and after how many events it is. */
    this.last = { position: 0, state: first };
    this.forget();
  }

  /** The state before the first event. */
  get first() {
    return this.kept[0];
  }

  /** What is known of the end is known no more. */
  forget() {
    this.ending = null;
    this.byId = null;
  }

  /** The state after all events. */
  end() {
    this.ending ??= this.events.slice(this.kept.length * EVERY - EVERY).reduce(step, this.kept.at(-1));
    return this.ending;
  }

  /** The line of a callback in the ledger of the whole recording, or null. */
  line(id) {
    this.byId ??= new Map(this.end().ledger.map((line) => [line.id, line]));
    return this.byId.get(id) ?? null;
  }

  /** The state after so many events. */
  at(position) {
    const nearest = Math.min(Math.floor(position / EVERY), this.kept.length - 1);
    let from = { position: nearest * EVERY, state: this.kept[nearest] };
    if (this.last.position <= position && this.last.position > from.position) from = this.last;
    let state = from.state;
    for (let at = from.position; at < position; at += 1) {
      if (at % EVERY === 0 && at / EVERY === this.kept.length) this.kept.push(state);
      state = step(state, this.events[at]);
    }
    this.last = { position, state };
    return state;
  }

  /** More has happened. Returns how many of the oldest events had to go. */
  append(events) {
    this.events = [...this.events, ...events];
    this.forget();
    if (this.events.length <= this.most) return 0;
    const gone = Math.floor((this.events.length - this.most / 2) / EVERY) * EVERY;
    const first = this.at(gone);
    this.events = this.events.slice(gone);
    this.kept = [first];
    this.last = { position: 0, state: first };
    return gone;
  }
}
