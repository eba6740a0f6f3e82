// All tasks of all tools, with filters and search.

import { get, getAll } from "./api.js";
import { act, h, show } from "./dom.js";
import { state, watch } from "./state.js";
import { day, number, plain, priority, some, STATUS_WORDS, statusWord, taskStatus, today, toolName, toolSign } from "./words.js";

const PAGE = 50;
const ORDERS = [["updated", "Last changed"], ["due", "Due first"], ["priority", "Most pressing"], ["title", "Title"], ["newest", "Newest"]];
const OPEN = new Set(["todo", "in_progress", "blocked", "review"]);

/** Shows the list of tasks. The filters stand in the address, so that a list can be kept and shared. */
export function tasks(place, _, parameters) {
  const search = h("input", { id: "task-search", type: "search", placeholder: "Title or description", autocomplete: "off", value: parameters.get("search") ?? "" });
  const select = (name, label, options) => {
    const control = h("select", { id: `task-${name}`, name }, options.map(([value, text]) => h("option", { value }, text)));
    control.value = parameters.get(name) ?? options[0][0];
    if (control.selectedIndex < 0) control.selectedIndex = 0;
    return [control, h("div", { class: "entry" }, h("label", { for: control.id }, label), control)];
  };
  const any = ["", "All"];
  const [status, statusEntry] = select("status", "Status", [any, ...STATUS_WORDS.map((word) => [word, statusWord(word)])]);
  const [level, levelEntry] = select("priority", "Priority", [any, ...["critical", "high", "medium", "low"].map((word) => [word, plain(word)])]);
  const [source, sourceEntry] = select("source", "Came from", [any, ["hub", "Hub"]]);
  const [project, projectEntry] = select("project_id", "Project", [any]);
  const [order, orderEntry] = select("order", "Order", ORDERS);
  const heading = h("p", { class: "kicker", role: "status" }, "Reading the tasks…");
  const list = h("div");
  show(place,
    h("div", { class: "head" }, h("div", {}, h("h1", {}, "Tasks"), heading)),
    h("form", { class: "filters", role: "search", on: { submit: (event) => event.preventDefault() } },
      h("div", { class: "entry search" }, h("label", { for: "task-search" }, "Search"), search), statusEntry, levelEntry, sourceEntry, projectEntry, orderEntry),
    list);

  let found = [];
  let next;
  let asked = 0;
  const filters = () => ({ search: search.value.trim(), status: status.value, priority: level.value, source: source.value, project_id: project.value, order: order.value });
  const read = async (cursor, limit = PAGE) => {
    const turn = ++asked;
    try {
      const page = await get("/unified/tasks", { ...filters(), limit, cursor });
      if (turn !== asked) return;
      found = cursor ? found.concat(page.tasks) : page.tasks;
      next = page.next_cursor;
      const words = page.total === 0 ? "No tasks" : `${some(page.total, "task")}${bySource(page.by_source)}`;
      if (heading.textContent !== words) heading.textContent = words;
      draw();
    } catch (error) {
      if (turn !== asked || found.length > 0) return;
      heading.textContent = "";
      show(list, h("div", { class: "empty" }, h("h2", {}, "The tasks could not be read"), h("p", {}, error.message)));
    }
  };
  const draw = () => {
    if (found.length === 0) {
      const filtered = Object.entries(filters()).some(([name, value]) => name !== "order" && value);
      show(list, h("div", { class: "empty" }, h("h2", {}, filtered ? "Nothing matches" : "No tasks yet"), h("p", {}, filtered ? "Take a filter away, or search for something else." : "The first sync brings them in.")));
      return;
    }
    show(list,
      h("div", { class: "table-wrap" }, h("table", { class: "tasks" },
        h("thead", {}, h("tr", {}, ["Task", "Status", "Priority", "Project", "Due", "Assignee", "In"].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, found.map(row)))),
      next && h("div", { class: "more" }, h("button", { type: "button", data: { key: "more" }, on: { click: (event) => act(event.currentTarget, () => read(next)) } }, `More (${number(found.length)} shown)`)));
  };
  let typing;
  const again = () => {
    wanted = null;
    const kept = new URLSearchParams(Object.entries(filters()).filter(([name, value]) => value && !(name === "order" && value === ORDERS[0][0])));
    history.replaceState(null, "", `#/tasks${kept.size ? `?${kept}` : ""}`);
    read();
  };
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(again, 250);
  });
  for (const control of [status, level, source, project, order]) control.addEventListener("change", again);
  show(list, h("div", { class: "empty pulse", role: "status" }, "Reading the tasks…"));
  const fill = (control, wanted, options) => {
    const value = control.value || wanted || "";
    control.replaceChildren(...options.map(([key, text]) => h("option", { value: key }, text)));
    control.value = value;
    if (control.selectedIndex < 0) control.selectedIndex = 0;
  };
  let wanted = parameters.get("source");
  const sources = () => fill(source, wanted, [any, ["hub", "Hub"], ...state.tools.map((tool) => [tool, toolName(tool)])]);
  const begin = async () => {
    sources();
    try {
      const { projects } = await getAll("/projects", "projects");
      fill(project, parameters.get("project_id"), [any, ...projects.map((one) => [one.id, one.archived_at ? `${one.name} (archived)` : one.name])]);
    } catch {
      // The list itself says what is wrong.
    }
    await read();
  };
  begin();
  const stop = watch((what) => {
    if (what === "all") sources();
    if (what === "event" || what === "again") read(undefined, Math.min(1000, Math.max(PAGE, found.length)));
  });
  return () => {
    clearTimeout(typing);
    asked += 1;
    stop();
  };
}

function bySource(counts) {
  const parts = Object.entries(counts).sort(([, one], [, other]) => other - one);
  return parts.length > 0 ? `: ${parts.map(([name, count]) => `${number(count)} from ${name === "hub" ? "the hub" : toolName(name)}`).join(", ")}` : "";
}

function row(task) {
  const late = task.due_date && task.due_date < today() && OPEN.has(task.status);
  return h("tr", {},
    h("td", { class: "title" }, h("a", { class: "task-link", href: `#/tasks/${task.id}`, data: { key: task.id } }, task.title)),
    h("td", {}, taskStatus(task.status)),
    h("td", {}, priority(task.priority)),
    h("td", { class: "soft" }, task.project_name),
    h("td", { class: late ? "late" : undefined }, task.due_date && day(task.due_date), late && h("span", { class: "unseen" }, " overdue")),
    h("td", { class: "soft" }, person(task.assignee)),
    h("td", {}, task.links.length > 0 && h("span", { class: "tools" }, task.links.map(link))));
}

/** A name without its address. */
export function person(text) {
  return text ? text.replace(/\s*<[^>]*>$/, "") || text : undefined;
}

/** A link into a tool; only web addresses are followed. */
export function link(one) {
  const name = `${one.display_name ?? toolName(one.tool_name)}${one.state === "live" ? "" : `, ${plain(one.state).toLowerCase()}`}`;
  const sign = toolSign(one.tool_name, true);
  const words = h("span", { class: "unseen" }, name);
  if (one.external_url && /^https?:\/\//i.test(one.external_url)) return h("a", { class: "tool-link", href: one.external_url, target: "_blank", rel: "noopener noreferrer", title: name }, sign, words);
  return h("span", { title: name }, sign, words);
}
