// A recording that can be looked at in any moment.
//
// There is one function from events to states, and going back is going forward again from an earlier
// state. States share what has not changed, so keeping some of them costs little.

import { initial, steps } from "./state.js";

/** A state is kept after each so many events, or more of them so that it is not too many states. */
const EVERY = 1000;
const KEPT_MAX = 100;

/** A recording of a live program keeps this many events at most. */
const EVENTS_MAX = 40_000;

export class Replay {
  constructor(events, { first = initial(), most = EVENTS_MAX, every = Math.max(EVERY, Math.ceil(events.length / KEPT_MAX)) } = {}) {
    this.events = events;
    this.most = most;
    this.every = every;
    /** The states after 0, `every`, 2 * `every`, … events, as far as they were needed. */
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
    this.ending ??= this.from(this.nearest(Infinity), this.events.length);
    return this.ending;
  }

  /** The line of a callback in the ledger of the whole recording, or null. */
  line(id) {
    this.byId ??= new Map(this.end().ledger.map((line) => [line.id, line]));
    return this.byId.get(id) ?? null;
  }

  /** The last state that is kept and not behind this position: { position, state }. */
  nearest(position) {
    const at = Math.min(Math.floor(position / this.every), this.kept.length - 1);
    return { position: at * this.every, state: this.kept[at] };
  }

  /** The state after so many events, made from an earlier one. On the way states are kept. */
  from({ position, state }, to) {
    let at = position;
    while (at < to) {
      if (at % this.every === 0 && at / this.every === this.kept.length) this.kept.push(state);
      const next = Math.min(to, at - (at % this.every) + this.every);
      state = steps(state, this.events.slice(at, next));
      at = next;
    }
    return state;
  }

  /** The state after so many events. */
  at(position) {
    const kept = this.nearest(position);
    const isNearer = this.last.position <= position && this.last.position > kept.position;
    const state = this.from(isNearer ? this.last : kept, position);
    this.last = { position, state };
    return state;
  }

  /** More has happened. Returns how many of the oldest events had to go. */
  append(events) {
    this.events = [...this.events, ...events];
    this.forget();
    if (this.events.length <= this.most) return 0;
    const gone = Math.floor((this.events.length - this.most / 2) / this.every) * this.every;
    const first = this.at(gone);
    this.events = this.events.slice(gone);
    this.kept = [first];
    this.last = { position: 0, state: first };
    return gone;
  }
}
