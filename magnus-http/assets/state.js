// What the page knows, and who wants to be told when it changes.

import { get, getAll } from "./api.js";

export const state = {
  /** "connecting", "live", "lost" or "denied". */
  link: "connecting",
  /** Undefined until they were read. */
  connections: undefined,
  tools: [],
  dashboard: undefined,
  /** The newest of the open conflicts, and how many there are in all. */
  conflicts: undefined,
  conflictCount: 0,
  uncertain: [],
  runs: undefined,
  /** Progress by run. */
  live: new Map(),
  /** The run that goes on, by connection: one that takes long is no longer among the newest. */
  going: new Map(),
  /** Results of tests by connection. */
  tested: new Map(),
  /** Why the last reading failed. */
  failure: undefined,
};

const watchers = new Set();

/** Calls back after each change of what is named; answers how to end that. */
export function watch(back) {
  watchers.add(back);
  return () => watchers.delete(back);
}

export function changed(what) {
  for (const back of [...watchers]) back(what);
}

let reading;
let again = false;

/** Reads everything that the page shows all the time. Calls that overlap become one more reading. */
export function refresh() {
  if (reading) {
    again = true;
    return reading;
  }
  reading = read().finally(() => {
    reading = undefined;
    if (again) {
      again = false;
      refresh();
    }
  });
  return reading;
}

async function read() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  try {
    const [connections, dashboard, conflicts, uncertain, status] = await Promise.all([
      getAll("/connections", "connections"), get("/unified/dashboard", { tz: zone }).catch((error) => inUtc(error)), get("/conflicts", { limit: 500 }),
      getAll("/uncertain", "uncertain"), get("/sync/status"),
    ]);
    state.connections = connections.connections;
    state.tools = connections.tools;
    state.dashboard = dashboard;
    state.conflicts = conflicts.conflicts;
    state.conflictCount = conflicts.total;
    state.uncertain = uncertain.uncertain;
    state.runs = status.recent_syncs;
    const going = new Set(state.runs.filter((run) => run.status === "started" || run.status === "queued").map((run) => run.id));
    for (const run of state.runs) if (going.has(run.id) && run.progress) state.live.set(run.id, run.progress);
    for (const id of [...state.live.keys()]) if (!going.has(id) && state.runs.some((run) => run.id === id)) state.live.delete(id);
    for (const [connection, id] of [...state.going]) if (!going.has(id) && state.runs.some((run) => run.id === id)) state.going.delete(connection);
    state.failure = undefined;
  } catch (error) {
    state.failure = error;
  }
  changed("all");
}

// A browser may know a time zone that the service does not.
function inUtc(error) {
  if (error.status === 422) return get("/unified/dashboard");
  throw error;
}

let soon;

/** Reads again in a moment: events come in bursts. */
export function refreshSoon() {
  soon ??= setTimeout(() => {
    soon = undefined;
    refresh();
  }, 250);
}

/** The run of a connection that goes on; without one, the one that waits. */
export function running(connectionId) {
  const of = (status) => state.runs?.find((run) => run.connection_id === connectionId && run.status === status);
  const id = state.going.get(connectionId);
  return of("started") ?? (id && { id, connection_id: connectionId, status: "started" }) ?? of("queued");
}
