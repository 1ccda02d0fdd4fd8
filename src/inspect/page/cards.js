// Cards to be put in order, by keys or by drag: those on the left are left out.

import { fill, h } from "./dom.js";

/** `cards(root, labels, order, changed)`: draws both lists. `order` are the labels that are in order already. */
export function cards(root, labels, order, changed) {
  let next = 0;
  const all = labels.map((text) => ({ text, key: `card ${next++}` }));
  const mine = [];
  for (const label of order) {
    const card = all.find((one) => one.text === label && !mine.includes(one));
    if (card) mine.push(card);
  }
  const left = () => all.filter((card) => !mine.includes(card));
  let dragged = null;

  function put(card, at) {
    const from = mine.indexOf(card);
    if (from >= 0) mine.splice(from, 1);
    const to = from >= 0 && from < at ? at - 1 : at;
    mine.splice(Math.max(0, Math.min(to, mine.length)), 0, card);
    draw(card);
  }

  function take(card) {
    const from = mine.indexOf(card);
    if (from >= 0) mine.splice(from, 1);
    draw(card);
  }

  /** What a key does with the card that has the focus. */
  function press(event, card) {
    const at = mine.indexOf(card);
    const list = at >= 0 ? mine : left();
    const own = list.indexOf(card);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    let isMine = true;
    if (step && (event.altKey || event.shiftKey) && at >= 0) put(card, step > 0 ? at + 2 : at - 1);
    else if (step) focus(list[own + step]);
    else if (event.key === "ArrowRight" && at < 0) put(card, mine.length);
    else if (["ArrowLeft", "Delete", "Backspace"].includes(event.key) && at >= 0) take(card);
    else isMine = false;
    if (isMine) {
      event.preventDefault();
      event.stopPropagation();
    }
  }

  const focus = (card) => card && root.querySelector(`[data-key="${card.key}"]`)?.focus();

  function drop(event, at) {
    if (!dragged) return;
    event.preventDefault();
    event.stopPropagation();
    const card = dragged;
    dragged = null;
    if (at === null) take(card);
    else put(card, at);
  }

  function item(card, at) {
    const isMine = at !== null;
    const place = isMine ? `${at + 1}. ` : "";
    return h("li", {
      draggable: "true",
      class: "card",
      ondragstart: (event) => {
        dragged = card;
        event.dataTransfer.effectAllowed = "move";
        event.dataTransfer.setData("text/plain", card.text);
      },
      ondragover: (event) => event.preventDefault(),
      ondrop: (event) => drop(event, at),
    },
      h("button", {
        type: "button",
        class: "card-button",
        "data-key": card.key,
        title: isMine ? "Shift ↑ and ↓ move it, ← takes it out" : "→ or a click puts it at the end of the order",
        onclick: () => (isMine ? take(card) : put(card, mine.length)),
        onkeydown: (event) => press(event, card),
      }, place, h("code", null, card.text)),
      isMine && h("button", { type: "button", class: "small", "data-key": `up ${card.key}`, "aria-label": `${card.text}: earlier`, disabled: at === 0, onclick: () => put(card, at - 1) }, "↑"),
      isMine && h("button", { type: "button", class: "small", "data-key": `down ${card.key}`, "aria-label": `${card.text}: later`, disabled: at === mine.length - 1, onclick: () => put(card, at + 2) }, "↓"),
    );
  }

  function draw(card = null) {
    fill(
      root,
      h("div", { class: "cards" },
        h("section", { class: "cards-left", ondragover: (event) => event.preventDefault(), ondrop: (event) => drop(event, null) },
          h("h3", null, "Cards; what stays here does not come"),
          h("ul", null, left().map((one) => item(one, null)))),
        h("section", { class: "cards-mine", ondragover: (event) => event.preventDefault(), ondrop: (event) => drop(event, mine.length) },
          h("h3", null, "My order, first on top"),
          h("ol", null, mine.map((one, at) => item(one, at))),
          mine.length === 0 && h("p", { class: "faint" }, "Click a card, press → on it, or drag it here.")),
      ),
    );
    focus(card);
    changed(mine.map((one) => one.text));
  }

  draw();
}
