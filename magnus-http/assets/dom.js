// Elements are made here and nowhere else. What comes from tools is always text, never markup.

/** Makes an element: `on` are listeners, `data` becomes data-*, other properties become attributes. */
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (key === "data") {
      for (const [part, text] of Object.entries(value)) if (text !== undefined) element.dataset[part] = text;
    } else if (key === "value" || key === "checked") {
      element[key] = value;
    } else {
      element.setAttribute(key, value === true ? "" : String(value));
    }
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** Replaces what a place shows. The focus and what was folded out stay where they were, by their data-key. */
export function show(place, ...children) {
  const active = document.activeElement;
  const focused = active && place.contains(active) ? active.dataset.key : undefined;
  const open = new Set([...place.querySelectorAll("details[open][data-key]")].map((details) => details.dataset.key));
  place.replaceChildren();
  append(place, children);
  for (const details of place.querySelectorAll("details[data-key]")) details.open ||= open.has(details.dataset.key);
  if (focused) [...place.querySelectorAll("[data-key]")].find((element) => element.dataset.key === focused)?.focus({ preventScroll: true });
}

/** Tells something that just happened. */
export function toast(text, tone) {
  const place = document.getElementById("toasts");
  const note = h("p", { class: tone ? `toast ${tone}` : "toast" }, text);
  place.append(note);
  while (place.children.length > 3) place.firstChild.remove();
  setTimeout(() => note.remove(), tone === "bad" ? 12000 : 6000);
}

/** Does something that a button started: the button is busy meanwhile, and a failure is told. */
export async function act(button, work) {
  if (button.getAttribute("aria-busy") === "true") return undefined;
  button.setAttribute("aria-busy", "true");
  try {
    return await work();
  } catch (error) {
    toast(error.message, "bad");
    return undefined;
  } finally {
    button.removeAttribute("aria-busy");
  }
}

/** Asks before something that cannot be taken back. */
export function confirmed({ title, text, yes, danger }) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { "aria-labelledby": "confirm-title" },
      h("form", { method: "dialog" },
        h("h2", { id: "confirm-title" }, title),
        h("p", {}, text),
        h("div", { class: "dialog-buttons" },
          h("button", { value: "no", class: "quiet" }, "Keep as it is"),
          h("button", { value: "yes", class: danger ? "danger" : "primary" }, yes))));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
