// Why a callback comes where it comes: the statement of the guide that decided, told from the events.
//
// A recording of the study brings its statements along. Of a live program they are told from what
// happened: the callback's kind and phase, what armed it, and what its loop called before it. Where no
// statement decides, and where what came before is not known, there is none. The same is said in Rust by
// examples/scenario/order.rs; tests/page/why.mjs compares the two.

import { isOfDrain } from "./words.js";

/** Called in the drain, or of a panic, and not by a phase. */
const isDrained = (line) => isOfDrain(line) || line.kind === "uncaught hook";

/** So many lines before a callback are looked at. */
const BEFORE = 2000;

/** What is known of the place of `lines[at]` among those of its loop. */
function placeOf(lines, at, armerOf) {
  const line = lines[at];
  const before = lines.slice(Math.max(0, at - BEFORE), at).filter((one) => one.track === line.track && one.told === line.told);
  const callerAt = before.findLastIndex((one) => !isDrained(one));
  const caller = before[callerAt] ?? null;
  const drain = before.slice(callerAt + 1);
  const armedBy = armerOf(line);
  // The phase that calls it has called this one just before.
  const peer = caller && caller.stretch === line.stretch && line.phase !== "main" ? caller : null;
  const sibling = (kind) => armedBy !== null && lines.some((one) => one.kind === kind && armerOf(one)?.id === armedBy.id);
  return { line, before, caller, drain, armedBy, peer, sibling };
}

/** What armed it, if that ran in this drain too: its kind. */
const armedInDrain = ({ drain, armedBy }) => drain.find((one) => one.id === armedBy?.id)?.kind;

const isTick = ({ kind }) => kind === "tick";
const isMicrotask = ({ kind }) => kind === "microtask" || kind === "task";

function firstOfDrain({ caller }, armerOf) {
  // The main script of a worker is a callback like others.
  if (caller?.kind === "main" && armerOf(caller) === null) return "O-1";
  return caller?.kind === "before-exit hook" ? "O-14" : "O-10";
}

/** A tick or a microtask. `own` says which of the others it is like. */
function ofDrain(place, armerOf, own, afterOther) {
  const { drain } = place;
  if (drain.at(-1)?.kind === "uncaught hook") return drain.some((one) => one.panicked) ? "O-48" : "O-47";
  const armer = armedInDrain(place);
  if (armer !== undefined && own({ kind: armer })) return "O-11";
  return afterOther ? "O-12" : firstOfDrain(place, armerOf);
}

/** The callbacks of the pass of the timers before the line, if the loop has not slept since. */
function lastPass({ line, before }) {
  const called = before.filter((one) => !isDrained(one));
  const last = called.findLastIndex((one) => one.phase === "timers");
  const slept = [...called.slice(last + 1), line].some((one) => one.waited);
  return last < 0 || slept ? [] : called.filter((one) => one.stretch === called[last].stretch);
}

function ofTimer(place) {
  const { line, peer, caller, before, sibling } = place;
  const { firing } = line;
  if (!firing) return "O-3";
  const isInterval = line.kind === "interval";
  if (isInterval && line.at >= firing.due + firing.delay) return "O-24"; // It was held up for a period or more.
  if (firing.count > 1) return isInterval ? "O-23" : "O-27";
  if (peer) return peer.firing?.delay === firing.delay ? "O-17" : "O-19";
  if (line.waited) return "O-5";
  const ofIteration = before.slice(before.findLastIndex((one) => one.iteration !== line.iteration) + 1);
  if (ofIteration.some((one) => one.waited)) return "O-22";
  if (caller?.kind === "main") return "O-2";
  if (caller?.kind === "before-exit hook") return "O-55";
  const pass = lastPass(place);
  const becameDue = pass.length > 0 && firing.due <= pass.at(-1).at + (pass.at(-1).took ?? 0);
  if (becameDue || pass.some((one) => one.id === place.armedBy?.id)) return "O-21";
  return sibling("immediate") ? "O-29" : "O-3";
}

function ofImmediate({ peer, armedBy, sibling }, armerOf) {
  if (armedBy === null) return "O-3";
  if (peer?.kind === "immediate" || armedBy.phase === "check") return "O-28";
  if (["poll", "timers"].includes(armedBy.phase) && sibling("timer")) return "O-29";
  return armedBy.kind === "main" && armerOf(armedBy) !== null ? "O-38" : "O-3";
}

/** What a job has brought. In virtual time jobs end in the order in which they were asked for. */
function ofJob({ line, armedBy }, isVirtual) {
  if (armedBy?.phase === "poll" && armedBy.track === line.track) return "O-32";
  return isVirtual ? "O-61" : "O-31";
}

/** What poll calls back: what came from outside. */
function ofPoll({ line, peer, armedBy }) {
  if (peer && peer.kind !== line.kind) return "O-30";
  switch (line.kind) {
    case "worker":
      return "O-39";
    case "message port":
    case "broadcast channel":
      return peer && armedBy?.track === line.track && armedBy.stretch === line.stretch ? "O-36" : "O-35";
    case "post":
      return "O-44";
    default:
      return line.waited ? "O-5" : null; // It ended the sleep.
  }
}

function ofClose({ peer, armedBy }) {
  return peer || armedBy?.phase === "close" ? "O-7" : "O-37";
}

/**
 * The number of the statement that puts `lines[at]` where it is, or null. `lines` are those of a whole
 * recording, and `state` is its last.
 */
export function statementOf(state, lines, at) {
  const byId = new Map(lines.map((line) => [line.id, line]));
  // What a job armed was armed by whoever asked for the job.
  const armerOf = (line) => byId.get(state.jobs[line.cause]?.cause ?? line.cause) ?? null;
  const place = placeOf(lines, at, armerOf);
  const { line, drain, armedBy } = place;
  switch (line.kind) {
    case "main":
      return armedBy !== null ? "O-38" : "O-1";
    case "tick":
      return ofDrain(place, armerOf, isTick, drain.some(isMicrotask));
    case "microtask":
    case "task": {
      const first = drain.findIndex(isMicrotask);
      return ofDrain(place, armerOf, isMicrotask, first >= 0 && drain.slice(first).some(isTick));
    }
    case "timer":
    case "interval":
      return ofTimer(place);
    case "immediate":
      return ofImmediate(place, armerOf);
    case "before-exit hook":
      return "O-55";
    case "exit hook":
      return "O-56";
    case "uncaught hook":
      return "O-47";
    default:
      break;
  }
  switch (line.phase) {
    case "idle":
    case "prepare":
    case "check":
      return "O-6";
    case "pending":
      return "O-8";
    case "poll":
      return line.cause in state.jobs ? ofJob(place, state.meta?.mode === "virtual") : ofPoll(place);
    case "close":
      return ofClose(place);
    default:
      return null;
  }
}
