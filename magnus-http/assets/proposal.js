// A breakdown that a language model proposes for a task: asked for, accepted in whole or in part, or turned down. What the
// model says is shown as text.

import { post } from "./api.js";
import { act, h, toast } from "./dom.js";
import { changed } from "./state.js";
import { plain } from "./words.js";

/** What a person ticked off, by job: the page is drawn anew at each event. */
const left = new Map();

/** The card of a task's proposal; without one, how far the newest breakdown is, or the offer to ask for one. */
export function proposal(task, job) {
  if (task.deleted_at) return undefined;
  if (isGoing(job)) return asked(job);
  const found = task.metadata?.ai_breakdown;
  return Array.isArray(found?.subtasks) && found.job_id ? card(found) : offer(task, job);
}

/** Whether a breakdown waits or goes on. */
export function isGoing(job) {
  return job?.status === "queued" || job?.status === "running" || job?.status === "interrupted";
}

function titled(title, ...rest) {
  return h("section", { class: "card stack", id: "proposal", "aria-labelledby": "proposal-title" }, h("h2", { id: "proposal-title" }, title), rest);
}

function asked(job) {
  const words = job.status === "queued" ? "The model will be asked in its turn." : job.status === "running" ? "The model is asked." : "The model was interrupted, and will be asked again.";
  const stop = h("button", { type: "button", class: "quiet", disabled: job.cancel_requested, data: { key: "stop-breakdown" }, on: { click: (event) => act(event.currentTarget, async () => {
    await post(`/ai/breakdowns/${job.job_id}/cancel`);
    changed("decided");
  }) } }, job.cancel_requested ? "Stopping" : "Stop");
  return titled("Subtasks", h("p", { class: "soft small pulse", role: "status" }, `${words} Its proposal will appear here.`), h("div", { class: "buttons" }, stop));
}

function offer(task, job) {
  const failed = job?.status === "failed";
  const ask = h("button", { type: "button", class: "quiet", data: { key: "break-down" }, on: { click: (event) => act(event.currentTarget, async () => {
    await post(`/ai/breakdown-async?task_id=${task.id}`);
    changed("decided");
  }) } }, failed ? "Try again" : "Break it down");
  return titled("Subtasks",
    failed ? h("p", { class: "note bad" }, `The model proposed nothing: ${job.error_message ?? "it failed."}`) : h("p", { class: "soft small" }, "A language model proposes subtasks; you choose which to make."),
    h("div", { class: "buttons" }, ask));
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
  return titled("Proposed subtasks",
    h("p", { class: "soft small" }, `${found.total_estimate} h in all, ${found.suggested_sprint_points} points, by ${found.provenance?.model ?? "a model"}.`),
    h("ul", { class: "stack" }, rows),
    found.notes && h("p", { class: "soft" }, found.notes),
    h("div", { class: "buttons" }, open.length > 0 && accept, discard));
}

function row(subtask, place, made, off) {
  const id = `proposed-${place}`;
  const after = subtask.depends_on?.length > 0 ? `, after ${subtask.depends_on.map((before) => before + 1).join(" and ")}` : "";
  const facts = h("p", { class: "soft small" }, `${subtask.estimated_hours} h, ${plain(subtask.priority).toLowerCase()}${after}`);
  const words = subtask.description && h("p", { class: "soft small" }, subtask.description);
  const title = `${place + 1}. ${subtask.title}`;
  if (made) return h("li", { class: "proposed" }, h("span", { class: "made", "aria-hidden": "true" }, "✓"), h("div", {}, h("a", { href: `#/tasks/${made}` }, title), facts, words));
  const tick = h("input", { type: "checkbox", id, checked: !off.has(place), data: { key: id }, on: { change: (event) => {
    if (event.currentTarget.checked) off.delete(place);
    else off.add(place);
  } } });
  return h("li", { class: "proposed" }, tick, h("div", {}, h("label", { for: id }, title), facts, words));
}
