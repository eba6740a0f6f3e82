// The board: what needs a person, the connections, the last runs.

import { get, post, send } from "./api.js";
import { act, h, show, toast } from "./dom.js";
import { editConnection, addConnection } from "./connection-form.js";
import { runRow, tellLive } from "./runs.js";
import { changed, refresh, refreshSoon, running, state, watch } from "./state.js";
import { connectionState, direction, number, phase, some, span, told, toolName, toolSign, when } from "./words.js";

/** Shows the board. */
export function board(place) {
  const head = h("div", { class: "head" });
  const attention = h("section", { "aria-label": "Needs you" });
  const cards = h("section", { "aria-labelledby": "connections-title" });
  const last = h("section", { "aria-labelledby": "last-title" });
  show(place, head, attention, cards, last);
  const draw = (what) => {
    if (what === "progress") {
      for (const connection of state.connections ?? []) drawProgress(cards, connection);
      for (const run of state.runs ?? []) tellLive(last, run);
      return;
    }
    drawHead(head);
    drawAttention(attention);
    drawCards(cards);
    drawLast(last);
  };
  draw();
  if (!state.connections) refresh();
  return watch(draw);
}

function drawHead(place) {
  const all = state.dashboard;
  if (!all) {
    show(place, h("h1", {}, state.failure ? "The board cannot be seen" : "Setting up the board…"));
    return;
  }
  const figures = [["tasks", all.total], ["projects", all.projects], ["due today", all.due_today], ["overdue", all.overdue]];
  show(place,
    h("div", {},
      h("h1", { id: "says" }, all.magnus_says),
      h("p", { class: "kicker" }, state.connections?.length ? `${some(state.connections.length, "connection")}, one hub.` : "One hub, and no connection yet.")),
    h("dl", { class: "figures" }, figures.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, number(value))))));
}

function drawAttention(place) {
  const items = [];
  const name = (connection) => h("strong", {}, connection.display_name);
  for (const connection of state.connections ?? []) {
    if (connection.state === "halted") {
      items.push(h("li", { class: "warn" }, h("div", {}, name(connection), " stopped before the first move: ", told((connection.last_sync_error ?? "the plan is large.").replace(/^nothing was written: /, ""))),
        h("div", { class: "buttons" }, h("a", { class: "button", href: `#/runs/${connection.last_run_id}`, data: { key: `plan-${connection.id}` } }, "Look at the plan"))));
    }
    if (connection.state === "failing") {
      items.push(h("li", { class: "bad" }, h("div", {}, name(connection), " fails: ", told(connection.last_sync_error ?? "see the run.")),
        h("div", { class: "buttons" }, h("a", { class: "button", href: `#/runs/${connection.last_run_id}`, data: { key: `why-${connection.id}` } }, "See why"))));
    }
  }
  for (const standing of state.dashboard?.connections ?? []) {
    for (const reason of standing.suspended) items.push(h("li", { class: "warn" }, h("div", {}, h("strong", {}, standing.display_name), ` does not sync ${reason}`)));
  }
  const open = state.conflictCount;
  if (open > 0) {
    items.push(h("li", { class: "warn" }, h("div", {}, h("strong", {}, some(open, "conflict")), ` ${open === 1 ? "waits" : "wait"} for your decision. Nothing was overwritten.`),
      h("div", { class: "buttons" }, h("a", { class: "button", href: "#/conflicts", data: { key: "decide" } }, "Decide"))));
  }
  if (state.uncertain.length > 0) {
    items.push(h("li", { class: "warn" }, h("div", {}, h("strong", {}, some(state.uncertain.length, "write")), " may or may not have taken place."),
      h("div", { class: "buttons" }, h("a", { class: "button", href: "#/conflicts", data: { key: "settle" } }, "Settle"))));
  }
  place.hidden = items.length === 0;
  show(place, h("h2", { class: "unseen" }, "Needs you"), h("ul", { class: "attention" }, items));
}

function drawCards(place) {
  const add = h("button", { type: "button", id: "add-connection", data: { key: "add" }, disabled: state.link === "lost", on: { click: () => addConnection() } }, "Add a connection");
  const head = h("div", { class: "section-head" }, h("h2", { id: "connections-title" }, "Connections"), add);
  if (!state.connections) {
    const body = state.failure
      ? h("div", { class: "empty" }, h("h2", {}, "The connections could not be read"), h("p", {}, state.failure.message), h("button", { type: "button", on: { click: () => refresh() } }, "Try again"))
      : h("div", { class: "loading pulse", role: "status" }, h("span", { class: "unseen" }, "Reading the connections"), h("span"), h("span"), h("span"));
    show(place, head, body);
    return;
  }
  if (state.connections.length === 0) {
    show(place, h("h2", { id: "connections-title", class: "unseen" }, "Connections"),
      h("div", { class: "empty" }, h("img", { src: "assets/knight.svg", alt: "", width: "56", height: "56" }), h("h2", {}, "The board is empty"),
        h("p", {}, "Connect your first tool. Magnus tests the key before it keeps it, and copies nothing until you say sync."),
        h("button", { type: "button", class: "primary", id: "add-connection", data: { key: "add" }, on: { click: () => addConnection() } }, "Add a connection")));
    return;
  }
  show(place, head, h("ul", { class: "grid" }, state.connections.map(card)));
  for (const connection of state.connections) drawProgress(place, connection);
}

function card(connection) {
  const id = connection.id;
  const away = state.link === "lost";
  const standing = state.dashboard?.connections.find((one) => one.connection_id === id);
  const going = running(id);
  const button = (key, text, work, properties = {}) => h("button", {
    type: "button", disabled: away, data: { key: `${key}-${id}`, act: key }, "aria-label": `${text} ${connection.display_name}`, ...properties,
    on: { click: (event) => act(event.currentTarget, work) },
  }, text);
  const facts = [
    ["Direction", direction(connection.sync_direction)],
    ["Last success", when(connection.last_success_at)],
    ["Next run", connection.next_run_at ? when(connection.next_run_at) : `none: ${connection.no_schedule ?? "by hand only"}`],
    ["In step", standing ? some(standing.linked, "task") : "…"],
  ];
  if (standing?.unlinked) facts.push(["Not in step", some(standing.unlinked, "task")]);
  return h("li", { class: "card connection", data: { connection: id } },
    h("div", { class: "connection-head" }, toolSign(connection.tool_name),
      h("div", {}, h("h3", {}, connection.display_name), h("span", { class: "soft small" }, `${toolName(connection.tool_name)} · ${host(connection.instance_url)}`)),
      connectionState(going?.status === "started" ? "syncing" : connection.state)),
    h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    h("div", { class: "progress", data: { progress: id } }),
    h("div", { role: "status", data: { tested: id } }, testNote(state.tested.get(id))),
    h("div", { class: "buttons" },
      going
        ? button("stop", "Stop", () => stop(going), { data: { key: `sync-${id}`, act: "stop" } })
        : button("sync", "Sync", () => sync(connection), { class: connection.state === "new" ? "primary" : undefined, disabled: away || !connection.sync_enabled }),
      button("test", "Test", () => test(connection)),
      button("pause", connection.sync_enabled ? "Pause" : "Resume", () => pause(connection)),
      button("edit", "Edit", () => editConnection(connection), { class: "quiet" })));
}

function host(url) {
  try {
    return new URL(url).host;
  } catch {
    return url;
  }
}

function drawProgress(cards, connection) {
  const place = [...cards.querySelectorAll("[data-progress]")].find((element) => element.dataset.progress === connection.id);
  if (!place) return;
  const run = running(connection.id);
  place.hidden = !run;
  if (!run) {
    place.replaceChildren();
    return;
  }
  if (!place.firstChild) {
    place.append(h("div", { class: "progress-words" }, h("span"), h("span")), h("progress", { "aria-label": `Progress of ${connection.display_name}` }));
  }
  const at = state.live.get(run.id);
  const [words, bar] = place.children;
  const known = at && at.total > 0;
  words.firstChild.textContent = run.status === "queued" ? "Waiting for its turn" : known ? `${phase(at.phase)}: ${number(at.done)} of ${number(at.total)}` : phase(at?.phase ?? "observing");
  const left = at?.seconds_left;
  words.lastChild.textContent = left !== null && left !== undefined ? `${span(left)} left` : at?.rate ? `${number(Math.round(at.rate))}/s` : "";
  if (known) {
    bar.max = at.total;
    bar.value = Math.min(at.done, at.total);
  } else {
    bar.removeAttribute("value");
  }
}

async function sync(connection) {
  const answer = await post(`/connections/${connection.id}/sync`);
  toast(answer.magnus_says);
  refreshSoon();
}

async function stop(run) {
  const answer = await post(`/sync/runs/${run.id}/cancel`);
  toast(answer.magnus_says);
  refreshSoon();
}

async function test(connection) {
  const found = await get(`/connections/${connection.id}/test`);
  state.tested.set(connection.id, found);
  changed("tested");
}

/** What a test found, said to people. */
export function testNote(found) {
  if (!found) return undefined;
  const notes = found.notes.length > 0 ? h("ul", {}, found.notes.map((note) => h("li", {}, note))) : undefined;
  if (found.status === "ok") {
    return h("div", { class: "note good" }, `It answers${found.user ? ` to ${found.user}` : ""}${found.version ? `, version ${found.version}` : ""}.`, notes);
  }
  return h("div", { class: "note bad" }, found.reason ?? "It does not answer.", notes);
}

async function pause(connection) {
  await send("PATCH", `/connections/${connection.id}`, { sync_enabled: !connection.sync_enabled });
  toast(connection.sync_enabled ? `${connection.display_name} rests until you resume it.` : `${connection.display_name} is back in the game.`);
  await refresh();
}

function drawLast(place) {
  place.hidden = !state.runs?.length;
  if (place.hidden) return;
  show(place,
    h("div", { class: "section-head" }, h("h2", { id: "last-title" }, "Last runs"), h("a", { href: "#/runs" }, "All runs")),
    h("ul", { class: "rows" }, state.runs.slice(0, 6).map(runRow)));
}

