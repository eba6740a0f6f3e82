// The page: which view is shown, whether the service is there, and what is told.

import { listeners, post, token } from "./api.js";
import { act, h, show, toast } from "./dom.js";
import { Listener } from "./events.js";
import { changed, refresh, refreshSoon, state, watch } from "./state.js";
import { signIn } from "./sign-in.js";
import { phase, retell } from "./words.js";
import { board } from "./board.js";
import { conflicts } from "./conflicts.js";
import { run, runs } from "./runs.js";
import { story } from "./story.js";
import { tasks } from "./tasks.js";

const main = document.getElementById("main");
const banner = document.getElementById("banner");
const progressWords = document.getElementById("progress-words");

const ROUTES = [
  [/^\/?$/, "board", "Board", board],
  [/^\/tasks\/([0-9a-f-]+)$/, "tasks", "Task", story],
  [/^\/tasks$/, "tasks", "Tasks", tasks],
  [/^\/runs\/([0-9a-f-]+)$/, "runs", "Run", run],
  [/^\/runs$/, "runs", "Runs", runs],
  [/^\/conflicts$/, "conflicts", "Conflicts", conflicts],
];

let leave = () => {};

function route(focus) {
  const [path, query] = location.hash.replace(/^#/, "").split("?");
  const parameters = new URLSearchParams(query ?? "");
  const found = ROUTES.find(([pattern]) => pattern.test(path));
  leave();
  for (const tab of document.querySelectorAll("[data-tab]")) {
    if (found && tab.dataset.tab === found[1]) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  const place = h("div", { class: "loose" });
  main.replaceChildren(place);
  if (!found) {
    document.title = "Magnus";
    show(place, h("div", { class: "empty" }, h("h2", {}, "There is nothing here"), h("a", { class: "button", href: "#/" }, "To the board")));
    leave = () => {};
    return;
  }
  document.title = `${found[2]} · Magnus`;
  leave = found[3](place, found[0].exec(path)[1], parameters) ?? (() => {});
  if (focus) {
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

function showLink(link) {
  if (state.link === link) return;
  const before = state.link;
  state.link = link;
  const place = document.getElementById("link-state");
  place.dataset.state = link;
  document.getElementById("link-words").textContent = { connecting: "Connecting", live: "Live", lost: "Disconnected", denied: "Locked" }[link];
  document.body.dataset.link = link;
  banner.hidden = link !== "lost";
  banner.textContent = link === "lost" ? "Magnus cannot be reached. What you see may be old; this page comes back by itself." : "";
  if (link === "live") {
    refresh();
    if (before === "lost") {
      toast("Connected again.");
      changed("again");
    }
  }
  if (link === "denied") ask();
  showSyncAll();
  changed("link");
}

function showSyncAll() {
  const button = document.getElementById("sync-all");
  const enabled = (state.connections ?? []).filter((connection) => connection.sync_enabled);
  button.disabled = state.link !== "live" || enabled.length === 0;
  const count = state.conflictCount;
  const badge = document.getElementById("conflict-count");
  badge.hidden = count + state.uncertain.length === 0;
  badge.replaceChildren(String(count + state.uncertain.length), h("span", { class: "unseen" }, " open"));
}

let asking = false;

async function ask() {
  if (asking) return;
  asking = true;
  try {
    if (await signIn(token() !== null)) {
      refresh();
      changed("again");
      events.restart();
    }
  } finally {
    asking = false;
  }
}

// Progress is told in steps of a quarter, not at each item: whoever listens to it has ears for other things, too.
const toldSteps = new Map();

function tellProgress(event) {
  const { phase: where, done, total } = event.progress;
  const step = `${where} ${total > 0 ? Math.floor((done / total) * 4) : 0}`;
  if (toldSteps.get(event.run_id) === step) return;
  toldSteps.set(event.run_id, step);
  const name = state.connections?.find((connection) => connection.id === event.connection_id)?.display_name ?? "A sync";
  progressWords.textContent = total > 0 ? `${name}: ${phase(where)}, ${done} of ${total}` : `${name}: ${phase(where)}`;
}

function told(name, event) {
  if (name === "run.progress") {
    state.live.set(event.run_id, event.progress);
    tellProgress(event);
    if (state.going.get(event.connection_id) !== event.run_id) {
      state.going.set(event.connection_id, event.run_id);
      refreshSoon();
    }
    changed("progress");
    return;
  }
  if (name === "run.item") return;
  if (name === "run.finished" || name === "run.halted") {
    state.live.delete(event.run_id);
    if (state.going.get(event.connection_id) === event.run_id) state.going.delete(event.connection_id);
    toldSteps.delete(event.run_id);
    progressWords.textContent = `${event.display_name ?? "A sync"}: ${event.status}`;
  }
  refreshSoon();
  changed("event");
}

const events = new Listener(told, showLink);

listeners.denied = () => showLink("denied");
listeners.lost = () => {
  showLink("lost");
  events.restart();
};

document.getElementById("sync-all").addEventListener("click", (event) => act(event.currentTarget, async () => {
  const answer = await post("/sync/all");
  toast(answer.magnus_says);
  for (const refused of answer.refused) toast(refused.reason, "bad");
  refreshSoon();
}));

watch((what) => {
  if (what !== "progress") showSyncAll();
});
addEventListener("hashchange", () => route(true));
addEventListener("online", () => events.hurry());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") {
    events.hurry();
    refreshSoon();
  }
});
setInterval(() => retell(document), 5_000);
setInterval(() => {
  if (document.visibilityState === "visible" && state.link === "live") refresh();
}, 60_000);

route(false);
events.listen();
