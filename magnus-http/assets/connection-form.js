// Adding and changing a connection. The key is typed once: it is tested while the form is filled in, and kept with it.

import { post, request, send, Refusal } from "./api.js";
import { act, confirmed, h, show, toast } from "./dom.js";
import { refresh, state } from "./state.js";
import { toolName, toolSign } from "./words.js";
import { testNote } from "./board.js";

const DIRECTIONS = [["bidirectional", "Both ways"], ["pull", "Tool to hub"], ["push", "Hub to tool"]];
const FREQUENCIES = [["realtime", "Real time"], ["hourly", "Hourly"], ["daily", "Daily"], ["manual", "By hand only"]];
const PROJECTS = [["all", "All that the key can see"], ["mapped", "Only those I map"]];
const CONFLICTS = [["manual", "Ask me"], ["hub_wins", "The hub wins"], ["external_wins", "The tool wins"], ["newest_wins", "The newest wins"]];
const DELETIONS = [["keep", "Keep the other side"], ["archive", "Archive on the other side"], ["delete", "Delete on the other side"]];

/** How long the typing must rest before the key is tested. */
const REST = 700;

function entry(name, label, control, hint) {
  control.id = `connection-${name}`;
  control.name = name;
  const about = [hint && `${control.id}-hint`, `${control.id}-error`].filter(Boolean).join(" ");
  control.setAttribute("aria-describedby", about);
  return h("div", { class: "entry" }, h("label", { for: control.id }, label), control,
    hint && h("p", { class: "hint", id: `${control.id}-hint` }, hint), h("p", { class: "error", id: `${control.id}-error`, data: { error: name } }));
}

function choice(options, chosen) {
  return h("select", {}, options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
}

function showErrors(form, refusal) {
  const general = [];
  for (const { field, message } of refusal.fields ?? []) {
    const place = form.querySelector(`[data-error="${CSS.escape(field)}"]`);
    if (place) {
      place.textContent = message;
      form.elements[field]?.setAttribute?.("aria-invalid", "true");
    } else {
      general.push(`${field}: ${message}`);
    }
  }
  const found = form.querySelector('[aria-invalid="true"]');
  if (found) found.focus();
  return refusal.fields?.length && general.length === 0 ? "" : general.join("; ") || refusal.message;
}

function clearErrors(form) {
  for (const place of form.querySelectorAll("[data-error]")) place.textContent = "";
  for (const control of form.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
}

function openDialog(form) {
  const dialog = h("dialog", { "aria-labelledby": "connection-title" }, form);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Adds a connection. */
export function addConnection() {
  const tools = h("fieldset", {}, h("legend", { class: "label" }, "Tool"),
    h("div", { class: "choices" }, state.tools.map((tool, at) => h("label", { class: "choice" },
      h("input", { type: "radio", name: "tool_name", value: tool, checked: at === 0 }), toolSign(tool, true), toolName(tool)))),
    h("p", { class: "error", data: { error: "tool_name" } }));
  const url = h("input", { type: "url", required: true, placeholder: "https://projects.example.org", autocomplete: "off", spellcheck: "false" });
  const key = h("input", { type: "password", required: true, autocomplete: "off", spellcheck: "false" });
  const name = h("input", { required: true, maxlength: "255", autocomplete: "off" });
  const answer = h("div", { role: "status", id: "connection-test" });
  const general = h("p", { class: "error", role: "alert" });
  const zone = h("input", { autocomplete: "off", placeholder: "Europe/Berlin" });
  const save = h("button", { class: "primary", id: "connection-save" }, "Connect");
  const dismiss = h("button", { type: "button", class: "quiet", on: { click: () => dialog.close() } }, "Cancel");
  const form = h("form", { novalidate: true },
    h("h2", { id: "connection-title" }, "Add a connection"),
    tools,
    entry("instance_url", "Address", url, "Where the tool lives, as you open it in the browser."),
    entry("api_key", "API key", key, "Of a user of its own for Magnus. It is tested now, sealed when you connect, and never shown again."),
    answer,
    entry("display_name", "Name", name),
    h("div", { class: "pair" }, entry("sync_direction", "Direction", choice(DIRECTIONS, "bidirectional")), entry("sync_frequency", "How often", choice(FREQUENCIES, "realtime"))),
    h("details", {}, h("summary", {}, "More settings"), h("div", { class: "stack" },
      h("div", { class: "pair" }, entry("projects", "Projects", choice(PROJECTS, "all")), entry("conflicts", "When both sides changed a field", choice(CONFLICTS, "manual"))),
      h("div", { class: "pair" }, entry("deletions", "When a task is gone on one side", choice(DELETIONS, "keep")), entry("time_zone", "Time zone of the tool", zone, "Leantime keeps dates in one.")))),
    general,
    h("div", { class: "dialog-buttons" }, dismiss, save));
  const settings = () => {
    const data = new FormData(form);
    const config = { projects: data.get("projects"), conflicts: data.get("conflicts"), deletions: data.get("deletions") };
    if (data.get("time_zone")) config.time_zone = data.get("time_zone");
    return {
      tool_name: data.get("tool_name"), display_name: data.get("display_name").trim() || toolName(data.get("tool_name")), instance_url: data.get("instance_url").trim(),
      api_key: data.get("api_key").trim(), sync_direction: data.get("sync_direction"), sync_frequency: data.get("sync_frequency"), config,
    };
  };
  const tester = new Tester(settings, answer);
  for (const control of [url, key]) control.addEventListener("input", () => tester.later());
  tools.addEventListener("change", () => tester.later());
  form.addEventListener("input", () => clearErrors(form));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearErrors(form);
    general.textContent = "";
    const missing = [[url, "instance_url", "Where does the tool live?"], [key, "api_key", "Without a key the tool lets nobody in."]].filter(([control]) => !control.value.trim());
    if (missing.length > 0) {
      general.textContent = showErrors(form, { fields: missing.map(([, field, message]) => ({ field, message })) });
      return;
    }
    act(save, async () => {
      tester.stop();
      save.textContent = "Testing and connecting…";
      try {
        const connected = await post("/connections", settings());
        dialog.close();
        toast(connected.magnus_says);
        await refresh();
        document.querySelector(`[data-key="sync-${CSS.escape(connected.connection.id)}"]`)?.focus();
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        general.textContent = showErrors(form, error);
      } finally {
        save.textContent = "Connect";
      }
    });
  });
  const dialog = openDialog(form);
  dialog.addEventListener("close", () => tester.stop());
  url.focus();
}

/** Tests what was typed, once the typing rests; only the newest answer counts. */
class Tester {
  #timer;
  #asked = "";
  #abort = new AbortController();

  constructor(settings, place) {
    this.settings = settings;
    this.place = place;
  }

  stop() {
    clearTimeout(this.#timer);
    this.#abort.abort();
  }

  later() {
    this.stop();
    this.#timer = setTimeout(() => this.#test(), REST);
  }

  async #test() {
    const settings = this.settings();
    const asked = JSON.stringify([settings.tool_name, settings.instance_url, settings.api_key]);
    if (!settings.api_key || !/^https?:\/\/./.test(settings.instance_url)) {
      this.#asked = "";
      show(this.place);
      return;
    }
    if (asked === this.#asked && this.place.firstChild) return;
    this.#asked = asked;
    this.#abort = new AbortController();
    show(this.place, h("div", { class: "note" }, h("span", { class: "pulse" }, "Testing the key…")));
    try {
      const response = await request("/connections/test", { method: "POST", body: settings, signal: this.#abort.signal });
      show(this.place, testNote(await response.json()));
    } catch (error) {
      if (error.name === "AbortError") return;
      this.#asked = "";
      show(this.place, h("div", { class: "note bad" }, error.message));
    }
  }
}

/** Changes a connection, or removes it. */
export function editConnection(connection) {
  const name = h("input", { required: true, maxlength: "255", value: connection.display_name, autocomplete: "off" });
  const url = h("input", { type: "url", required: true, value: connection.instance_url, autocomplete: "off", spellcheck: "false" });
  const key = h("input", { type: "password", autocomplete: "off", spellcheck: "false", placeholder: "unchanged" });
  const general = h("p", { class: "error", role: "alert" });
  const save = h("button", { class: "primary" }, "Save");
  const remove = h("button", { type: "button", class: "danger", on: { click: (event) => act(event.currentTarget, removeIt) } }, "Remove");
  const form = h("form", { novalidate: true },
    h("h2", { id: "connection-title" }, `Edit ${connection.display_name}`),
    entry("display_name", "Name", name),
    entry("instance_url", "Address", url),
    entry("api_key", "New API key", key, "Leave it empty to keep the present one. A new key or address is tested before it is kept."),
    h("div", { class: "pair" }, entry("sync_direction", "Direction", choice(DIRECTIONS, connection.sync_direction)), entry("sync_frequency", "How often", choice(FREQUENCIES, connection.sync_frequency))),
    h("p", { class: "hint" }, "Webhooks of the tool belong to ", h("code", {}, connection.webhook_path)),
    general,
    h("div", { class: "dialog-buttons" }, remove, h("button", { type: "button", class: "quiet", on: { click: () => dialog.close() } }, "Cancel"), save));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearErrors(form);
    general.textContent = "";
    const data = new FormData(form);
    const body = {};
    for (const field of ["display_name", "instance_url", "sync_direction", "sync_frequency"]) {
      const value = data.get(field).trim();
      if (value !== connection[field]) body[field] = value;
    }
    if (data.get("api_key").trim()) body.api_key = data.get("api_key").trim();
    act(save, async () => {
      try {
        await send("PATCH", `/connections/${connection.id}`, body);
        state.tested.delete(connection.id);
        dialog.close();
        toast(`${body.display_name ?? connection.display_name} is saved.`);
        await refresh();
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        general.textContent = showErrors(form, error);
      }
    });
  });
  async function removeIt() {
    const sure = await confirmed({
      title: `Remove ${connection.display_name}?`, yes: "Remove it", danger: true,
      text: "Its links, conflicts, runs and key are forgotten. Tasks stay where they are, in the hub and in the tool.",
    });
    if (!sure) return;
    await send("DELETE", `/connections/${connection.id}`);
    dialog.close();
    toast(`${connection.display_name} has left the board.`);
    await refresh();
  }
  const dialog = openDialog(form);
}
