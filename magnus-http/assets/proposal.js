// A breakdown that a language model proposes for a task: asked for, accepted in whole or in part, or turned down. What the
// model says is shown as text.

import { post } from "./api.js";
import { act, h, toast } from "./dom.js";
import { changed } from "./state.js";
import { plain } from "./words.js";

/** What a person ticked off, by job: the page is drawn anew at each event. */
const left = new Map();

/** The card of a task's proposal; without one, the offer to ask for one. */
export function proposal(task) {
  if (task.deleted_at) return undefined;
  const found = task.metadata?.ai_breakdown;
  return Array.isArray(found?.subtasks) && found.job_id ? card(found) : offer(task);
}

function offer(task) {
  const ask = h("button", { type: "button", class: "quiet", data: { key: "break-down" }, on: { click: (event) => act(event.currentTarget, async () => {
    await post(`/ai/breakdown-async?task_id=${task.id}`);
    toast("The model is asked. Its proposal will appear here.");
  }) } }, "Break it down");
  return h("section", { class: "card stack", "aria-labelledby": "proposal-title" }, h("h2", { id: "proposal-title" }, "Subtasks"),
    h("p", { class: "soft small" }, "A language model proposes subtasks; you choose which to make."), h("div", { class: "buttons" }, ask));
}

function card(found) {
  const accepted = found.accepted ?? {};
  const off = left.get(found.job_id) ?? new Set();
  left.set(found.job_id, off);
  const open = found.subtasks.map((_, place) => place).filter((place) => accepted[place] === undefined);
  const rows = found.subtasks.map((subtask, place) => row(subtask, place, accepted[place], off));
  const accept = h("button", { type: "button", class: "primary", data: { key: "accept-proposal" }, on: { click: (event) => act(event.currentTarget, async () => {
    const subtasks = open.filter((place) => !off.has(place));
    if (subtasks.length === 0) return toast("Choose at least one subtask.");
    const { created } = await post(`/ai/breakdowns/${found.job_id}/accept`, { subtasks });
    toast(`${created} ${created === 1 ? "subtask" : "subtasks"} made.`);
    changed("decided");
  }) } }, "Make the chosen ones");
  const discard = h("button", { type: "button", class: "quiet", data: { key: "discard-proposal" }, on: { click: (event) => act(event.currentTarget, async () => {
    await post(`/ai/breakdowns/${found.job_id}/discard`);
    left.delete(found.job_id);
    toast("The proposal is off the table.");
    changed("decided");
  }) } }, "Discard the proposal");
  return h("section", { class: "card stack", id: "proposal", "aria-labelledby": "proposal-title" },
    h("h2", { id: "proposal-title" }, "Proposed subtasks"),
    h("p", { class: "soft small" }, `${found.total_estimate} h in all, ${found.suggested_sprint_points} points, by ${found.provenance?.model ?? "a model"}.`),
    h("ul", { class: "stack" }, rows),
    found.notes && h("p", { class: "soft" }, found.notes),
    h("div", { class: "buttons" }, open.length > 0 && accept, discard));
}

function row(subtask, place, made, off) {
  const id = `proposed-${place}`;
  const after = subtask.depends_on?.length > 0 ? `, after ${subtask.depends_on.map((before) => before + 1).join(" and ")}` : "";
  const facts = h("span", { class: "soft small" }, ` ${subtask.estimated_hours} h, ${plain(subtask.priority).toLowerCase()}${after}`);
  const words = subtask.description && h("div", { class: "soft small" }, subtask.description);
  if (made) return h("li", {}, h("a", { href: `#/tasks/${made}` }, `${place + 1}. ${subtask.title}`), facts, words);
  const tick = h("input", { type: "checkbox", id, checked: !off.has(place), data: { key: id }, on: { change: (event) => {
    if (event.currentTarget.checked) off.delete(place);
    else off.add(place);
  } } });
  return h("li", {}, tick, " ", h("label", { for: id }, `${place + 1}. ${subtask.title}`), facts, words);
}
