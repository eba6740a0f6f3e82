// Conflicts side by side, with a choice per field; and writes of which nobody knows whether they took place.

import { post, Refusal } from "./api.js";
import { act, h, show, toast } from "./dom.js";
import { changed, refresh, state, watch } from "./state.js";
import { plain, some, STATUS_WORDS, statusWord, toolName, toolSign, value, when } from "./words.js";

const OWN = "merged";
/** What was chosen so far, by conflict: it outlives a new drawing of the view. */
const chosen = new Map();
const typed = new Map();
/** Since when the values that were last shown stand, by conflict. */
const shown = new Map();

/** Shows what waits for a decision. */
export function conflicts(place) {
  const list = h("div", { class: "loose" });
  show(place,
    h("div", { class: "head" }, h("div", {}, h("h1", {}, "Conflicts"), h("p", { class: "kicker" }, "Both sides changed the same field. Neither is overwritten until you decide."))),
    list);
  let drawn = "";
  const draw = () => {
    // Drawn anew only when something else waits: a choice under way is not disturbed.
    const now = JSON.stringify([state.link === "lost", state.failure?.message, state.conflicts, state.conflictCount, state.uncertain]);
    if (now === drawn) return;
    drawn = now;
    forgetOutdated(state.conflicts ?? []);
    if (!state.conflicts) {
      show(list, state.failure ? h("div", { class: "empty" }, h("h2", {}, "The conflicts could not be read"), h("p", {}, state.failure.message)) : h("div", { class: "empty pulse", role: "status" }, "Reading the conflicts…"));
      return;
    }
    const groups = Map.groupBy(state.conflicts, (conflict) => `${conflict.connection_id} ${conflict.task_id}`);
    if (groups.size === 0 && state.uncertain.length === 0) {
      show(list, h("div", { class: "empty" }, h("h2", {}, "Nothing to decide"), h("p", {}, "When both sides change the same field of a task, you will find both values here.")));
      return;
    }
    const further = state.conflictCount - state.conflicts.length;
    show(list,
      groups.size > 0 && h("ul", { class: "stack" }, [...groups.values()].map(group)),
      further > 0 && h("p", { class: "soft" }, `${some(further, "older conflict")} ${further === 1 ? "waits" : "wait"} behind these.`),
      state.uncertain.length > 0 && h("section", { class: "stack", "aria-labelledby": "uncertain-title" },
        h("h2", { id: "uncertain-title" }, "Did it take place?"),
        h("p", { class: "soft" }, "The answer to these writes was lost, and they could not be found in the tool. Look there, then say so here; Magnus sends nothing twice blindly."),
        h("ul", { class: "stack" }, state.uncertain.map(uncertain))));
  };
  draw();
  if (!state.conflicts) refresh();
  return watch((what) => what !== "progress" && draw());
}

/** What was chosen between values that are gone is no choice between those that are there now. */
function forgetOutdated(conflicts) {
  for (const { id, updated_at } of conflicts) {
    if (shown.has(id) && shown.get(id) !== updated_at) chosen.delete(id);
    shown.set(id, updated_at);
  }
}

function group(fields) {
  const [first] = fields;
  const tool = first.display_name ?? toolName(first.tool_name);
  const save = h("button", { class: "primary", disabled: state.link === "lost", data: { key: `decide-${first.id}`, act: "decide" } }, fields.length === 1 ? "Decide" : `Decide ${fields.length} fields`);
  const error = h("p", { class: "error", role: "alert" });
  const form = h("form", { class: "card conflict", data: { task: first.task_id } },
    h("div", { class: "connection-head" }, toolSign(first.tool_name),
      h("div", {}, h("h2", {}, h("a", { class: "task-link", href: `#/tasks/${first.task_id}` }, first.task_title ?? "A task")),
        h("span", { class: "soft small" }, `${tool} · number ${first.external_task_id} · since `, when(first.created_at))),
      h("span", { class: "pill warn" }, some(fields.length, "field"))),
    fields.map((conflict) => field(conflict, tool)),
    error,
    h("div", { class: "buttons" }, save, h("span", { class: "hint" }, "The next run carries it out.")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    error.textContent = "";
    const open = fields.filter((conflict) => !chosen.has(conflict.id));
    if (open.length === fields.length) {
      error.textContent = "Choose a side first.";
      form.querySelector("input")?.focus();
      return;
    }
    act(save, async () => {
      let says;
      try {
        for (const conflict of fields.filter((one) => chosen.has(one.id))) {
          says = (await post(`/conflicts/${conflict.id}/resolve`, decision(conflict))).magnus_says;
          chosen.delete(conflict.id);
          typed.delete(conflict.id);
        }
      } catch (refusal) {
        if (!(refusal instanceof Refusal)) throw refusal;
        error.textContent = refusal.message;
        toast(refusal.message, "bad");
      }
      if (says) toast(says);
      await refresh();
      changed("decided");
    });
  });
  return h("li", {}, form);
}

function decision(conflict) {
  const resolution = chosen.get(conflict.id);
  // A choice is one between the values that are shown; if they changed meanwhile, it is refused.
  const seen = { resolution, updated_at: conflict.updated_at };
  return resolution === OWN ? { ...seen, fields: { [conflict.field]: ownValue(conflict) } } : seen;
}

function ownValue(conflict) {
  const text = typed.get(conflict.id) ?? "";
  if (conflict.field === "tags") return text.split(",").map((tag) => tag.trim()).filter(Boolean);
  if (text.trim() === "" && conflict.field !== "title") return null;
  if (conflict.field.endsWith("_hours") || conflict.field === "percentage_done") return Number(text);
  return text;
}

function sideOf(conflict, key, head, body) {
  const radio = h("input", {
    type: "radio", name: `side-${conflict.id}`, value: key, checked: chosen.get(conflict.id) === key, data: { key: `${key}-${conflict.id}` },
    on: { change: () => chosen.set(conflict.id, key) },
  });
  return h("label", { class: "side" }, h("span", { class: "side-head" }, radio, head), body);
}

function said(conflict, raw) {
  const text = value(conflict.field, raw);
  return text === undefined ? h("span", { class: "value none" }, "empty") : h("span", { class: "value" }, text);
}

/** Who gave a side its value, and when, as far as that is known. */
function lastChange(at, by) {
  if (!at && !by) return null;
  return h("span", { class: "soft small changed" }, "changed ", at && when(at), by && ` by ${by}`);
}

function field(conflict, tool) {
  const own = control(conflict);
  const mine = sideOf(conflict, OWN, "Another value", own);
  own.setAttribute("aria-label", `Another value for ${plain(conflict.field)}`);
  own.addEventListener("input", () => {
    typed.set(conflict.id, own.value);
    chosen.set(conflict.id, OWN);
    mine.querySelector('input[type="radio"]').checked = true;
  });
  return h("fieldset", { class: "field", data: { field: conflict.field } },
    h("legend", {}, plain(conflict.field), h("span", { class: "was" }, conflict.base_value === null ? "" : ` was ${value(conflict.field, conflict.base_value) ?? "empty"}`)),
    conflict.reason.startsWith("oscillating") && h("p", { class: "soft small" }, "Both sides have put their own value back again and again. It is left alone until you decide."),
    h("div", { class: "sides" },
      sideOf(conflict, "hub", "Hub", [said(conflict, conflict.hub_value), lastChange(conflict.hub_changed_at, conflict.hub_changed_by)]),
      sideOf(conflict, "external", tool, [said(conflict, conflict.external_value), lastChange(conflict.external_changed_at, conflict.external_changed_by)]),
      mine));
}

function control(conflict) {
  const { field, id } = conflict;
  const start = typed.get(id) ?? plainValue(conflict);
  const data = { key: `own-${id}` };
  let made;
  if (field === "status") made = h("select", { data }, STATUS_WORDS.map((word) => h("option", { value: word }, statusWord(word))));
  else if (field === "priority") made = h("select", { data }, ["critical", "high", "medium", "low"].map((word) => h("option", { value: word }, plain(word))));
  else if (field === "description") made = h("textarea", { rows: "5", data });
  else if (field.endsWith("_date")) made = h("input", { type: "date", data });
  else if (field.endsWith("_hours") || field === "percentage_done") made = h("input", { type: "number", min: "0", step: "any", data });
  else made = h("input", { type: "text", data });
  made.value = start;
  if (!typed.has(id)) typed.set(id, made.value);
  return made;
}

function plainValue(conflict) {
  const raw = conflict.hub_value;
  return raw === null || raw === undefined ? "" : Array.isArray(raw) ? raw.join(", ") : String(raw);
}

function uncertain(write) {
  const input = h("input", { id: `found-${write.id}`, autocomplete: "off", data: { key: `found-${write.id}` } });
  const settle = (body) => async () => {
    await post(`/uncertain/${write.id}/resolve`, body());
    toast("It is settled. The next run goes on from there.");
    await refresh();
  };
  const away = state.link === "lost";
  return h("li", { class: "card stack" },
    h("div", { class: "connection-head" }, toolSign(write.tool_name),
      h("div", {}, h("h3", {}, h("a", { class: "task-link", href: `#/tasks/${write.task_id}` }, write.task_title ?? "A task")),
        h("span", { class: "soft small" }, `${write.display_name ?? toolName(write.tool_name)} · `, when(write.created_at), write.reason && ` · ${write.reason}`))),
    h("div", { class: "pair" },
      h("div", { class: "entry" }, h("label", { for: input.id }, "It is there, under the number"), input,
        h("div", { class: "buttons" }, h("button", { type: "button", disabled: away, on: { click: (event) => act(event.currentTarget, settle(() => ({ finding: "is", external_task_id: input.value.trim() }))) } }, "That is it"))),
      h("div", { class: "entry" }, h("span", { class: "label" }, "It is not there"),
        h("div", { class: "buttons" }, h("button", { type: "button", disabled: away, on: { click: (event) => act(event.currentTarget, settle(() => ({ finding: "send_again" }))) } }, "Send it again")))));
}
