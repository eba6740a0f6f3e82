// Asks for the access token when the service wants one.

import { keepToken, request } from "./api.js";
import { h } from "./dom.js";

/** Asks until a token is taken; `again`: one was given already and is not known. */
export function signIn(again) {
  return new Promise((resolve) => {
    const error = h("p", { class: "error", id: "token-error", role: "alert" }, again ? "That token is not known any more." : "");
    const input = h("input", { id: "token", type: "password", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": "token-hint token-error" });
    const enter = h("button", { class: "primary" }, "Enter");
    const form = h("form", {},
      h("h2", { id: "token-title" }, "An access token, please"),
      h("p", { class: "hint", id: "token-hint" }, "Make one with ", h("code", {}, "magnus tokens create"), ". It is kept in this tab only and forgotten when you close it."),
      h("div", { class: "entry" }, h("label", { for: "token" }, "Access token"), input, error),
      h("div", { class: "dialog-buttons" }, enter));
    const dialog = h("dialog", { "aria-labelledby": "token-title" }, form);
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      enter.disabled = true;
      keepToken(input.value.trim());
      try {
        await request("/sync/status", { quiet: true });
        dialog.close();
        dialog.remove();
        resolve(true);
      } catch (refusal) {
        keepToken(undefined);
        error.textContent = refusal.status === 401 ? "That token is not known." : refusal.message;
        input.setAttribute("aria-invalid", "true");
        input.select();
      } finally {
        enter.disabled = false;
      }
    });
    document.body.append(dialog);
    dialog.showModal();
    input.focus();
  });
}
