// Making elements. Text goes in as text nodes and attributes only, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/** The children that are there, as nodes. */
const nodes = (children) =>
  children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(child)));

function make(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...nodes(children));
  return element;
}

/** An HTML element: `h("p", { class: "a", onclick: f }, "text", other)`. */
export const h = (tag, attributes, ...children) => make(document.createElement(tag), attributes, children);

/** An SVG element. */
export const s = (tag, attributes, ...children) => make(document.createElementNS(SVG, tag), attributes, children);

/**
 * Puts new children into an element. What has the focus keeps it, if its `data-key` is there again. A
 * child with a `data-row` that is there already, and is the same, stays: whoever is pressing a button in
 * it while the picture moves goes on pressing it. Its handlers stay too: what they need to know stands in
 * its attributes.
 */
export function fill(root, ...children) {
  const key = root.contains(document.activeElement) ? document.activeElement.dataset?.key : undefined;
  const wanted = nodes(children);
  const rows = new Map([...root.children].filter((child) => child.dataset?.row).map((child) => [child.dataset.row, child]));
  const kept = wanted.map((child) => {
    const before = rows.get(child.dataset?.row); // A text has none.
    return before?.isEqualNode(child) ? before : child;
  });
  if (kept.some((child, at) => child !== wanted[at])) {
    const stays = new Set(kept);
    for (const child of [...root.childNodes]) if (!stays.has(child)) child.remove();
    kept.forEach((child, at) => root.childNodes[at] !== child && root.insertBefore(child, root.childNodes[at] ?? null));
  } else {
    root.replaceChildren(...wanted);
  }
  if (key !== undefined) root.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

/** Sets the text of an element if it is another one. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets an attribute if it is another one; null removes it. */
export function attribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}
