// Screen 2: one recording, watched. It only puts the panels where they belong.

import { h } from "./dom.js";

export function mount(root, context) {
  root.append(h("p", { class: "empty" }, "The wheel is not built yet."));
  return context.onChange(() => {});
}
