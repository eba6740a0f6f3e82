// How things are said: states, times, counts.

import { h } from "./dom.js";

const STATES = {
  ok: ["In step", "good"], partial: ["Partly in step", "warn"], failing: ["Failing", "bad"], halted: ["Halted", "warn"],
  paused: ["Paused", ""], new: ["Not synced yet", "info"], syncing: ["Syncing", "info"], queued: ["Waiting", "info"],
};
const RUNS = {
  queued: ["Waiting", "info"], started: ["Running", "info"], completed: ["Completed", "good"], partial: ["Partial", "warn"],
  failed: ["Failed", "bad"], cancelled: ["Cancelled", ""], interrupted: ["Interrupted", "warn"], halted: ["Halted", "warn"],
};
const OUTCOMES = {
  created: ["Created", "good"], updated: ["Updated", "info"], deleted: ["Deleted", "warn"], conflicted: ["Conflict", "warn"],
  skipped: ["Skipped", ""], failed: ["Failed", "bad"],
};
const STATUSES = {
  todo: ["To do", ""], in_progress: ["In progress", "info"], blocked: ["Blocked", "bad"], review: ["Review", "warn"],
  done: ["Done", "good"], cancelled: ["Cancelled", ""],
};
const TOOLS = { openproject: ["OpenProject", "OP"], leantime: ["Leantime", "LT"], hub: ["Hub", "HU"] };
const DIRECTIONS = { bidirectional: "Both ways", pull: "Tool to hub", push: "Hub to tool" };
const FREQUENCIES = { realtime: "Real time", hourly: "Hourly", daily: "Daily", manual: "By hand only" };
const PHASES = {
  waiting: "Waiting", settling: "Settling what was left open", observing: "Reading", planning: "Planning", executing: "Moving pieces",
  finished: "Finishing",
};
const TRIGGERS = { manual: "asked for", schedule: "by schedule", webhook: "by webhook", resume: "resumed", ripple: "after another run" };
export const LEVELS = { low: 1, medium: 2, high: 3, critical: 4 };

/** A word of the API as people read it: `due_date` is "Due date". */
export function plain(word) {
  const text = String(word ?? "").replaceAll("_", " ").replace(/ id$/, "");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function pill(table, word) {
  const [text, tone] = table[word] ?? [plain(word), ""];
  return h("span", { class: tone ? `pill ${tone}` : "pill", data: { state: word } }, text);
}
export const connectionState = (word) => pill(STATES, word);
export const runState = (word) => pill(RUNS, word);
export const outcome = (word) => pill(OUTCOMES, word);
export const taskStatus = (word) => pill(STATUSES, word);
export const statusWord = (word) => STATUSES[word]?.[0] ?? plain(word);
export const STATUS_WORDS = Object.keys(STATUSES);
export const direction = (word) => DIRECTIONS[word] ?? plain(word);
export const frequency = (word) => FREQUENCIES[word] ?? plain(word);
export const phase = (word) => PHASES[word] ?? plain(word);
export const trigger = (word) => TRIGGERS[word] ?? plain(word);
export const toolName = (word) => TOOLS[word]?.[0] ?? plain(word);

/** The sign of a tool. */
export function toolSign(word, small) {
  const letters = TOOLS[word]?.[1] ?? String(word ?? "?").slice(0, 2).toUpperCase();
  const known = /^[a-z]+$/.test(word ?? "") ? ` tool-${word}` : "";
  return h("span", { class: `tool${known}${small ? " tool-small" : ""}`, "aria-hidden": "true" }, letters);
}

export function priority(word) {
  return h("span", { class: "priority" },
    h("span", { class: "bars", "aria-hidden": "true", data: { level: LEVELS[word] } }, h("i"), h("i"), h("i"), h("i")), plain(word));
}

const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const ABSOLUTE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function relative(instant) {
  const seconds = Math.round((Date.parse(instant) - Date.now()) / 1000);
  if (Math.abs(seconds) < 5) return "just now";
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS.at(-1);
  return RELATIVE.format(Math.trunc(seconds / size), unit);
}

/** Words of the service: what stands between backticks is code, and a leading code such as `not_mapped:` reads as words. */
export function told(text) {
  const plainer = String(text ?? "").replace(/^[a-z]+(_[a-z]+)+(?=:|$)/, (code) => code.replaceAll("_", " "));
  return plainer.split("`").map((part, at) => (at % 2 === 1 ? h("code", {}, part) : part));
}

/** An instant, said from now; the exact one as its title. */
export function when(instant, otherwise = "never") {
  if (!instant) return otherwise;
  return h("time", { datetime: instant, title: ABSOLUTE.format(new Date(instant)) }, relative(instant));
}

/** Says again how long ago things were; the page does so now and then. */
export function retell(place) {
  for (const time of place.querySelectorAll("time[datetime]")) {
    const instant = time.getAttribute("datetime");
    if (instant.includes("T")) {
      const text = relative(instant);
      if (time.textContent !== text) time.textContent = text;
    }
  }
}

const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

/** A calendar day. It has no hour and no time zone. */
export function day(date) {
  const at = new Date(`${date}T00:00:00Z`);
  return Number.isNaN(at.getTime()) ? String(date) : DAY.format(at);
}

/** Today where the user is, as the API writes days. */
export function today() {
  const now = new Date();
  return `${now.getFullYear()}-${String(now.getMonth() + 1).padStart(2, "0")}-${String(now.getDate()).padStart(2, "0")}`;
}

export function span(seconds) {
  if (seconds < 1) return "under 1 s";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

export const number = (value) => Number(value ?? 0).toLocaleString("en");
export const some = (count, one, many = `${one}s`) => `${number(count)} ${Number(count) === 1 ? one : many}`;

const LONGEST = 400;

/** A value within a list of changes: not the whole of a long text. */
export function brief(text) {
  return text !== undefined && text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

/** The value of a field as people read it. */
export function value(field, raw) {
  if (raw === null || raw === undefined || raw === "" || (Array.isArray(raw) && raw.length === 0)) return undefined;
  if (field === "status") return statusWord(raw);
  if (field === "priority") return plain(raw);
  if (field === "start_date" || field === "due_date") return day(raw);
  if (field?.endsWith("_hours")) return `${raw} h`;
  if (field === "percentage_done") return `${raw} %`;
  if (Array.isArray(raw)) return raw.join(", ");
  return typeof raw === "object" ? JSON.stringify(raw) : String(raw);
}

/** Counts of a run, those that are not zero. */
export function counts(of) {
  const parts = ["created", "updated", "deleted", "conflicted", "skipped", "failed"].filter((key) => of[key] > 0);
  const words = { conflicted: "in conflict" };
  const out = parts.map((key) => h("span", {}, h("b", {}, number(of[key])), ` ${words[key] ?? key}`));
  if (out.length === 0) out.push(h("span", { class: "soft" }, "nothing to move"));
  if (of.unchanged > 0) out.push(h("span", { class: "soft" }, `${number(of.unchanged)} unchanged`));
  return out;
}
