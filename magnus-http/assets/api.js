// Asks the service. The access token, if one is needed, lives as long as this tab.

const KEPT = "magnus-token";
const base = new URL(".", document.baseURI);

/** What the service answered when it did not do what was asked. */
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `the service answered ${status}`);
    this.status = status;
    this.kind = problem.type ?? "";
    this.fields = problem.errors ?? [];
  }
}

/** The service cannot be reached. */
export class Unreachable extends Error {
  constructor() {
    super("Magnus cannot be reached at present.");
  }
}

export const listeners = { denied: () => {}, lost: () => {} };

export function token() {
  return sessionStorage.getItem(KEPT);
}

export function keepToken(text) {
  if (text) sessionStorage.setItem(KEPT, text);
  else sessionStorage.removeItem(KEPT);
}

export function address(path, parameters = {}) {
  const url = new URL(path.replace(/^\//, ""), base);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  return url;
}

/** Sends a request with the token. Throws what [`Refusal`] and [`Unreachable`] say. */
export async function request(path, { method = "GET", parameters, body, headers = {}, signal, quiet } = {}) {
  const sent = new Headers(headers);
  if (token()) sent.set("authorization", `Bearer ${token()}`);
  if (body !== undefined) sent.set("content-type", "application/json");
  let response;
  try {
    response = await fetch(address(path, parameters), {
      method, headers: sent, signal, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (!quiet) listeners.lost();
    throw new Unreachable();
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  if (response.status === 401 && !quiet) listeners.denied();
  throw new Refusal(response.status, problem);
}

export async function get(path, parameters, options) {
  return (await request(path, { ...options, parameters })).json();
}

/** A list that comes in pages, all of it: the last page with the items of every page under their name. */
export async function getAll(path, name) {
  const found = [];
  let page;
  do {
    page = await get(path, { limit: 1000, cursor: page?.next_cursor });
    found.push(...page[name]);
  } while (page.next_cursor);
  return { ...page, [name]: found };
}

export async function send(method, path, body, options) {
  const response = await request(path, { ...options, method, body });
  return response.status === 204 ? undefined : response.json();
}

export const post = (path, body, options) => send("POST", path, body, options);
