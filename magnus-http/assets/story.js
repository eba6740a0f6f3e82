// One task: what it is, where it is, and what changed it, when and why.

import { get, post } from "./api.js";
import { act, h, show, toast } from "./dom.js";
import { isGoing, proposal } from "./proposal.js";
import { prose } from "./prose.js";
import { watch } from "./state.js";
import { link, person } from "./tasks.js";
import { brief, day, plain, priority, taskStatus, toolName, value, when } from "./words.js";

const RULES = {
  edited: "edited in the hub", one_moved: "one side had changed", hub_wins: "the hub wins", external_wins: "the tool wins", newest_wins: "the newest wins",
  matched: "matched at first contact", created: "made", undone: "undone",
};

/** Shows the story of a task. */
export function story(place, id) {
  let known;
  let later;
  let gone = false;
  const read = async () => {
    try {
      const [found, described] = await Promise.all([get(`/tasks/${id}/story`), get(`/tasks/${id}/description`)]);
      if (gone) return;
      known = found;
      show(place, whole(found, described.html));
      // Another process may carry it out, which this one hears nothing from.
      clearTimeout(later);
      if (isGoing(found.breakdown)) later = setTimeout(read, 3_000);
      document.title = `${found.task.title} · Magnus`;
    } catch (error) {
      if (!gone && !known) show(place, h("div", { class: "empty" }, h("h2", {}, error.status === 404 ? "There is no such task" : "The task could not be read"), h("p", {}, error.message), h("a", { class: "button", href: "#/tasks" }, "All tasks")));
    }
  };
  show(place, h("div", { class: "empty pulse", role: "status" }, "Reading the task…"));
  read();
  const stop = watch((what) => (what === "event" || what === "again" || what === "decided") && read());
  return () => {
    gone = true;
    clearTimeout(later);
    stop();
  };
}

function whole({ task, history, conflicts, breakdown }, html) {
  const open = conflicts.filter((conflict) => conflict.status === "open");
  return [
    h("div", {},
      h("a", { class: "back", href: "#/tasks" }, "← All tasks"),
      h("div", { class: "head" }, h("div", {}, h("h1", { id: "task-title" }, task.title), h("p", { class: "kicker" }, task.project_name)), h("div", { class: "buttons" }, taskStatus(task.status), h("span", { class: "pill plain" }, priority(task.priority)), task.deleted_at && h("span", { class: "pill bad" }, "Deleted"), task.archived_at && h("span", { class: "pill" }, "Archived")))),
    open.length > 0 && h("p", { class: "note warn" }, `${open.map((conflict) => plain(conflict.field)).join(", ")}: both sides differ. `, h("a", { href: "#/conflicts" }, "Decide")),
    h("div", { class: "two" },
      h("div", { class: "loose" },
        h("section", { class: "card", "aria-labelledby": "description-title" }, h("h2", { id: "description-title", class: "unseen" }, "Description"), html ? h("div", { class: "prose", id: "description" }, prose(html)) : h("p", { class: "soft" }, "No description.")),
        h("section", { "aria-labelledby": "story-title" }, h("div", { class: "section-head" }, h("h2", { id: "story-title" }, "What happened")), timeline(history))),
      h("aside", { class: "stack", "aria-label": "Facts" }, facts(task), proposal(task, breakdown), places(task))),
  ];
}

function facts(task) {
  const rows = [
    ["Assignee", person(task.assignee)], ["Start", task.start_date && day(task.start_date)], ["Due", task.due_date && day(task.due_date)],
    ["Estimated", value("estimated_hours", task.estimated_hours)], ["Remaining", value("remaining_hours", task.remaining_hours)], ["Spent", value("actual_hours", task.actual_hours)],
    ["Done", value("percentage_done", task.percentage_done)], ["Tags", value("tags", task.tags)], ["Came from", task.source_tool ? toolName(task.source_tool) : "Hub"],
    ["Part of", task.parent_id && h("a", { href: `#/tasks/${task.parent_id}` }, "another task")], ["Changed", when(task.updated_at)],
  ].filter(([, said]) => said !== undefined && said !== null && said !== "");
  return h("section", { class: "card" }, h("dl", { class: "facts" }, rows.map(([name, said]) => [h("dt", {}, name), h("dd", {}, said)])));
}

function places(task) {
  const retry = h("button", { type: "button", class: "quiet", data: { key: "retry" }, on: { click: (event) => act(event.currentTarget, async () => {
    await post(`/tasks/${task.id}/retry`);
    toast("The next run tries it again.");
  }) } }, "Try failed writes again");
  if (task.links.length === 0) return h("section", { class: "card soft" }, "It is in no tool yet.");
  return h("section", { class: "card stack" }, h("h2", {}, "Where it is"),
    h("ul", { class: "stack" }, task.links.map((one) => h("li", { class: "connection-head" }, link(one),
      h("div", {}, h("b", {}, one.display_name ?? toolName(one.tool_name)), h("span", { class: "soft small" }, `number ${one.external_task_id}${one.state === "live" ? "" : ` · ${plain(one.state)}`}`), h("span", { class: "soft small" }, "moved data ", when(one.last_sync_at)))))),
    h("div", { class: "buttons" }, retry));
}

function timeline(history) {
  if (history.length === 0) return h("p", { class: "soft" }, "Nothing was recorded yet.");
  // What one run or one edit changed at one moment is one step.
  const steps = [];
  for (const entry of history) {
    const key = `${entry.run_id ?? ""} ${entry.side} ${entry.rule} ${entry.at.slice(0, 19)}`;
    if (steps.at(-1)?.key === key) steps.at(-1).entries.push(entry);
    else steps.push({ key, entries: [entry] });
  }
  return h("ol", { class: "timeline" }, steps.reverse().map(({ entries }) => {
    const [first] = entries;
    const where = first.side === "hub" ? "the hub" : first.display_name ?? "the tool";
    return h("li", {},
      h("span", { class: "at" }, when(first.at), ` in ${where} · ${RULES[first.rule] ?? plain(first.rule).toLowerCase()}`, first.run_id && [" · ", h("a", { href: `#/runs/${first.run_id}` }, first.display_name ? `run of ${first.display_name}` : "run")]),
      h("ul", { class: "diff" }, entries.map(changeRow)));
  }));
}

function changeRow(entry) {
  const before = brief(value(entry.field, entry.before));
  const after = brief(value(entry.field, entry.after));
  if (!entry.field) return h("li", {}, h("span", { class: "name" }, "Task"), h("span", {}, [before, after].filter(Boolean).join(" → ") || RULES[entry.rule] || plain(entry.rule)));
  return h("li", {}, h("span", { class: "name" }, plain(entry.field)),
    h("span", {}, before === undefined ? h("span", { class: "soft" }, "empty") : h("del", {}, before), h("span", { class: "arrow", "aria-hidden": "true" }, "→"), h("span", { class: "unseen" }, " became "), after === undefined ? h("span", { class: "soft" }, "empty") : h("ins", {}, after)));
}

