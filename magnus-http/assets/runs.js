// The log of runs, one run with its reasons, and the plan of a halted one.

import { get, post } from "./api.js";
import { act, confirmed, h, show, toast } from "./dom.js";
import { refreshSoon, state, watch } from "./state.js";
import { brief, counts, direction, number, outcome, phase, plain, runState, some, span, told, toolName, trigger, value, when } from "./words.js";

const ACTIONS = {
  create_in_hub: ["Create in the hub", "good"], create_in_tool: ["Create in the tool", "good"], link: ["Join", "info"], update: ["Change", "info"],
  delete_in_hub: ["Delete in the hub", "bad"], delete_in_tool: ["Delete in the tool", "bad"], unlink: ["Let go", "warn"], skip: ["Skip", ""],
};
const ORDER = ["delete_in_tool", "delete_in_hub", "update", "create_in_tool", "create_in_hub", "link", "unlink", "skip"];
const AT_ONCE = 100;

function duration(run) {
  if (!run.started_at || !run.completed_at) return "";
  return ` · took ${span((Date.parse(run.completed_at) - Date.parse(run.started_at)) / 1000)}`;
}

function reasonRow(item) {
  const title = item.task_id ? h("a", { href: `#/tasks/${item.task_id}` }, item.title) : h("span", {}, item.title);
  return h("li", {}, outcome(item.outcome), h("span", {}, title, item.detail && h("span", { class: "soft" }, " ", told(item.detail))));
}

function liveWords(live) {
  return `${phase(live?.phase ?? "observing")}${live?.total ? `: ${number(live.done)} of ${number(live.total)}` : "…"}`;
}

/** Says in a list how far a run that goes on has come by now. */
export function tellLive(place, run) {
  const live = state.live.get(run.id);
  const row = live && run.status === "started" && place.querySelector(`[data-run="${CSS.escape(run.id)}"] .counts`);
  if (row) row.textContent = liveWords(live);
}

/** How many failed, clashed or were left alone: items, or whole projects, which are not among the counts. */
function why(run, unusual) {
  const words = { failed: "failed", conflicted: "in conflict", skipped: "skipped" };
  return Object.entries(words)
    .map(([key, word]) => [Math.max(run.counts[key], unusual.filter((item) => item.outcome === key).length), word])
    .filter(([count]) => count > 0).map(([count, word]) => `${number(count)} ${word}`).join(", ");
}

/** One run as a row of a list: with the reasons behind what was skipped or failed. */
export function runRow(run) {
  const unusual = run.details.items.filter((item) => ["failed", "conflicted", "skipped"].includes(item.outcome));
  const hidden = run.counts.failed + run.counts.conflicted + run.counts.skipped - unusual.length;
  const live = state.live.get(run.id) ?? run.progress;
  const goes = run.status === "started";
  return h("li", { class: "run", data: { run: run.id } },
    h("span", { class: "run-state" }, runState(run.status)),
    h("span", { class: "run-what" }, h("a", { class: "run-name", href: `#/runs/${run.id}`, data: { key: `run-${run.id}` } }, run.display_name ?? toolName(run.tool_name))),
    h("span", { class: "counts" }, goes ? liveWords(live) : run.status === "queued" ? "" : run.status === "halted" ? h("span", {}, "nothing was written") : counts(run.counts)),
    h("span", { class: "when" }, when(run.completed_at ?? run.started_at ?? run.queued_at), duration(run), ` · ${trigger(run.trigger)}`),
    run.error_message && h("p", { class: `wide small ${run.status === "failed" ? "error" : "soft"}` }, told(run.error_message)),
    unusual.length > 0 && h("details", { class: "wide", data: { key: `reasons-${run.id}` } },
      h("summary", {}, `Why: ${why(run, unusual)}`),
      h("ul", { class: "reasons" }, unusual.map(reasonRow), hidden > 0 && h("li", {}, h("span"), h("a", { href: `#/runs/${run.id}` }, `and ${number(hidden)} more`)))));
}

/** The log of all runs. */
export function runs(place, _, parameters) {
  const list = h("div");
  const connection = h("select", { id: "runs-connection" });
  const status = h("select", { id: "runs-status" }, h("option", { value: "" }, "All"), ["started", "completed", "partial", "failed", "halted", "cancelled", "interrupted", "queued"].map((word) => h("option", { value: word }, plain(word === "started" ? "running" : word))));
  status.value = parameters.get("status") ?? "";
  show(place,
    h("div", { class: "head" }, h("div", {}, h("h1", {}, "Runs"), h("p", { class: "kicker" }, "Every sync, what it moved, and why it left something alone."))),
    h("div", { class: "filters" }, h("div", { class: "entry" }, h("label", { for: "runs-connection" }, "Connection"), connection), h("div", { class: "entry" }, h("label", { for: "runs-status" }, "Ended as"), status)),
    list);
  let asked = 0;
  let pages = 1;
  const read = async () => {
    const turn = ++asked;
    let found = [];
    let cursor;
    try {
      for (let page = 0; page < pages; page += 1) {
        const answer = await get("/sync/runs", { connection_id: connection.value, status: status.value, limit: 25, cursor });
        found = found.concat(answer.runs);
        cursor = answer.next_cursor;
        if (!cursor) break;
      }
    } catch (error) {
      if (turn === asked && !list.querySelector(".rows")) show(list, h("div", { class: "empty" }, h("h2", {}, "The runs could not be read"), h("p", {}, error.message)));
      return;
    }
    if (turn !== asked) return;
    if (found.length === 0) {
      show(list, h("div", { class: "empty" }, h("h2", {}, "No runs"), h("p", {}, connection.value || status.value ? "None is like that." : "The first sync will be listed here.")));
      return;
    }
    show(list, h("ul", { class: "rows" }, found.map(runRow)), cursor && h("div", { class: "more" }, h("button", { type: "button", data: { key: "more" }, on: { click: (event) => act(event.currentTarget, () => { pages += 1; return read(); }) } }, "Older runs")));
  };
  let wanted = parameters.get("connection");
  const names = () => {
    const chosen = connection.value || wanted || "";
    connection.replaceChildren(h("option", { value: "" }, "All"), ...(state.connections ?? []).map((one) => h("option", { value: one.id }, one.display_name)));
    connection.value = chosen;
  };
  names();
  show(list, h("div", { class: "empty pulse", role: "status" }, "Reading the runs…"));
  read();
  for (const control of [connection, status]) control.addEventListener("change", () => {
    wanted = null;
    pages = 1;
    read();
  });
  return watch((what) => {
    if (what === "all") names();
    if (what === "all" || what === "again") read();
  });
}

/** One run. */
export function run(place, id) {
  let known;
  let shown = AT_ONCE;
  let gone = false;
  const read = async () => {
    try {
      known = await get(`/sync/runs/${id}`);
      if (!gone) draw();
    } catch (error) {
      if (!gone && !known) show(place, h("div", { class: "empty" }, h("h2", {}, error.status === 404 ? "There is no such run" : "The run could not be read"), h("p", {}, error.message), h("a", { class: "button", href: "#/runs" }, "All runs")));
    }
  };
  const draw = () => show(place, whole(known, { shown, more: () => { shown += AT_ONCE; draw(); }, read }));
  show(place, h("div", { class: "empty pulse", role: "status" }, "Reading the run…"));
  read();
  const stop = watch((what) => {
    if (known && (what === "link" || (what === "progress" && known.status === "started"))) draw();
    if (what === "event" || what === "again") read();
  });
  return () => {
    gone = true;
    stop();
  };
}

function whole(run, { shown, more, read }) {
  const name = run.display_name ?? toolName(run.tool_name);
  const items = run.details.items;
  const plan = run.status === "halted" ? run.details.plan : undefined;
  const going = run.status === "started" || run.status === "queued";
  const live = state.live.get(run.id) ?? run.progress;
  const away = state.link === "lost";
  const button = (key, text, kind, work) => h("button", { type: "button", class: kind, disabled: away, data: { key, act: key }, on: { click: (event) => act(event.currentTarget, work) } }, text);
  const actions = [];
  if (run.status === "halted") {
    actions.push(button("discard", "Discard the plan", "", async () => {
      toast((await post(`/sync/runs/${run.id}/cancel`)).magnus_says);
      refreshSoon();
      await read();
    }));
    actions.push(button("confirm", "Carry out this plan", "primary", async () => {
      const answer = await post(`/sync/runs/${run.id}/confirm`);
      toast(answer.magnus_says);
      refreshSoon();
      location.hash = `#/runs/${answer.run_id}`;
    }));
  } else if (going) {
    actions.push(button("stop", "Stop", "", async () => {
      toast((await post(`/sync/runs/${run.id}/cancel`)).magnus_says);
      await read();
    }));
  } else if (run.details.hub_changes + run.details.remote_writes > 0) {
    actions.push(button("undo", "Undo", "", () => undo(run)));
  }
  return [
    h("div", {},
      h("a", { class: "back", href: "#/runs" }, "← All runs"),
      h("div", { class: "head" },
        h("div", {}, h("h1", {}, name), h("p", { class: "kicker" }, runState(run.status), " ", `${direction(run.direction)} · ${trigger(run.trigger)} · `, when(run.completed_at ?? run.started_at ?? run.queued_at), duration(run))),
        h("div", { class: "buttons" }, actions))),
    run.error_message && h("p", { class: `note ${run.status === "failed" ? "bad" : "warn"}`, role: run.status === "halted" ? "status" : undefined }, told(run.error_message)),
    going && progress(run, live),
    run.status !== "halted" && !going && h("section", { class: "card", "aria-label": "Counts" }, figures(run)),
    run.details.problems.length > 0 && h("section", { class: "note bad", "aria-label": "Problems" }, h("ul", {}, run.details.problems.map((problem) => h("li", {}, told(problem))))),
    plan && planOf(plan, shown, more),
    items.length > 0 && h("section", { "aria-labelledby": "items-title" },
      h("div", { class: "section-head" }, h("h2", { id: "items-title" }, "Items, and why")),
      h("ul", { class: "rows" }, items.slice(0, shown).map((item) => h("li", { class: "reasons" }, h("div", {}, h("ul", { class: "reasons" }, reasonRow(item)))))),
      items.length > shown && h("div", { class: "more" }, h("button", { type: "button", data: { key: "more" }, on: { click: more } }, `Show more of ${number(items.length)}`)),
      run.details.items_omitted > 0 && h("p", { class: "soft small" }, `${number(run.details.items_omitted)} further items are only counted.`)),
  ];
}

function progress(run, live) {
  const known = live && live.total > 0;
  return h("div", { class: "card progress" },
    h("div", { class: "progress-words" }, h("span", {}, run.status === "queued" ? "Waiting for its turn" : `${phase(live?.phase ?? "observing")}${known ? `: ${number(live.done)} of ${number(live.total)}` : ""}`), h("span", {}, live?.seconds_left != null ? `${span(live.seconds_left)} left` : "")),
    h("progress", { "aria-label": "Progress", max: known ? live.total : undefined, value: known ? Math.min(live.done, live.total) : undefined }));
}

function figures(run) {
  const all = [...["created", "updated", "deleted", "conflicted", "skipped", "failed", "unchanged"].map((key) => [key === "conflicted" ? "in conflict" : key, run.counts[key]]), ["writes to the tool", run.details.remote_writes], ["rows of the hub", run.details.hub_changes]];
  return h("dl", { class: "figures" }, all.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, number(value)))));
}

async function undo(run) {
  const plan = await post(`/sync/runs/${run.id}/undo?dry_run=true`);
  const parts = ["created", "updated", "deleted"].filter((key) => plan.tasks[key] > 0).map((key) => `${number(plan.tasks[key])} ${key}`);
  const left = plan.tasks.skipped + plan.tasks.conflicted;
  const sure = await confirmed({
    title: "Undo this run?", yes: "Undo it", danger: true,
    text: `${parts.length ? `${parts.join(", ")}.` : "Nothing would move."} ${left > 0 ? `${some(left, "item")} changed since and stay${left === 1 ? "s" : ""} as ${left === 1 ? "it is" : "they are"}. ` : ""}What the run deleted in a tool cannot be brought back.`,
  });
  if (!sure) return;
  const answer = await post(`/sync/runs/${run.id}/undo`);
  toast(answer.magnus_says);
  refreshSoon();
  location.hash = `#/runs/${answer.run_id}`;
}

function planOf(plan, shown, more) {
  const total = plan.mappings.reduce((sum, mapping) => sum + mapping.items.length, 0);
  let left = shown;
  const sections = [];
  for (const mapping of plan.mappings) {
    const items = [...mapping.items].sort((one, other) => ORDER.indexOf(one.action) - ORDER.indexOf(other.action)).slice(0, left);
    left -= items.length;
    if (items.length === 0 && !mapping.problem) continue;
    sections.push(h("section", { class: "card" },
      h("div", { class: "section-head" }, h("h3", {}, mapping.name), h("span", { class: "soft small" }, `${number(mapping.items.length)} to do · ${number(mapping.unchanged)} unchanged`)),
      mapping.problem && h("p", { class: "note bad" }, mapping.problem),
      h("ul", { class: "plan" }, items.map(planned))));
  }
  const sums = {};
  for (const mapping of plan.mappings) for (const item of mapping.items) sums[item.action] = (sums[item.action] ?? 0) + 1;
  return h("section", { class: "stack", "aria-labelledby": "plan-title", id: "plan" },
    h("div", { class: "section-head" }, h("h2", { id: "plan-title" }, "What it would do"),
      h("span", { class: "buttons" }, ORDER.filter((action) => sums[action]).map((action) => h("span", { class: `pill ${ACTIONS[action][1]}` }, `${ACTIONS[action][0]}: ${number(sums[action])}`)))),
    plan.notifying_writes > 0 && h("p", { class: "note warn" }, `${some(plan.notifying_writes, "write")} would mail people; that tool cannot be told not to.`),
    sections,
    total > shown && h("div", { class: "more" }, h("button", { type: "button", data: { key: "more-plan" }, on: { click: more } }, `Show more of ${number(total)}`)));
}

function planned(item) {
  const [text, tone] = ACTIONS[item.action] ?? [plain(item.action), ""];
  const title = item.task_id ? h("a", { href: `#/tasks/${item.task_id}` }, item.title) : h("span", {}, item.title);
  // What is made has no values before, and its title is said already.
  const made = item.action.startsWith("create_");
  const changes = made ? item.changes.filter((change) => change.field !== "title") : item.changes;
  return h("li", {},
    h("div", { class: "plan-item" }, h("span", { class: `pill ${tone}` }, text), h("b", {}, title), item.reason && h("span", { class: "soft small" }, item.reason.detail || plain(item.reason.code))),
    changes.length > 0 && h("ul", { class: made ? "diff made" : "diff" }, changes.map((change) => h("li", {},
      h("span", { class: "name" }, plain(change.field), !made && change.side && h("span", { class: "small" }, ` (${change.side === "hub" || change.side === "local" ? "hub" : "tool"})`)),
      h("span", {},
        !made && [change.before ? h("del", {}, shownValue(change.field, change.before)) : h("span", { class: "soft" }, "empty"), h("span", { class: "arrow", "aria-hidden": "true" }, "→"), h("span", { class: "unseen" }, " becomes ")],
        change.after ? h("ins", {}, shownValue(change.field, change.after)) : h("span", { class: "soft" }, "empty"),
        change.note && h("span", { class: "soft small" }, ` ${change.note.replaceAll("_", " ")}`))))));
}

/** A value of a plan, which comes as text. */
function shownValue(field, text) {
  if (field === "status" || field === "priority") return value(field, text);
  return brief(text);
}
