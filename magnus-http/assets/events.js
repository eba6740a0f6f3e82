// Live events. They are read with fetch and not with EventSource, which can send no access token.

import { request, Refusal } from "./api.js";

const SILENCE = 45_000;
const LONGEST_PAUSE = 8_000;

/** Splits a stream of text into server-sent events. */
export class Events {
  #rest = "";

  /** Takes a piece of the stream; answers the events that it completes. */
  push(text) {
    this.#rest += text;
    const blocks = this.#rest.split(/\r?\n\r?\n/);
    this.#rest = blocks.pop();
    return blocks.map(parse).filter((event) => event.data !== "");
  }
}

function parse(block) {
  const event = { name: "message", id: undefined, data: "" };
  for (const line of block.split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon === 0) continue;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") event.name = value;
    else if (name === "id") event.id = value;
    else if (name === "data") event.data = event.data === "" ? value : `${event.data}\n${value}`;
  }
  return event;
}

/**
 * Listens as long as the page is open: after a break it comes back with the number of the last event, so that no change
 * is missed. `told` gets events; `changed` gets "live", "lost" or "denied".
 */
export class Listener {
  #last;
  #pause = 500;
  #wake = () => {};
  #stop = new AbortController();

  constructor(told, changed) {
    this.told = told;
    this.changed = changed;
  }

  /** Tries again at once: after the token was entered, or when the browser says that the network is back. */
  hurry() {
    this.#pause = 500;
    this.#wake();
  }

  /** Begins anew: the token is another one, or a request found the service away. */
  restart() {
    this.#stop.abort();
    this.hurry();
  }

  async listen() {
    for (;;) {
      try {
        await this.#once();
        this.changed("lost");
      } catch (error) {
        const denied = error instanceof Refusal && error.status === 401;
        this.changed(denied ? "denied" : "lost");
        if (denied) {
          await this.#sleep(undefined);
          continue;
        }
      }
      await this.#sleep(this.#pause);
      this.#pause = Math.min(this.#pause * 1.6, LONGEST_PAUSE);
    }
  }

  async #once() {
    this.#stop = new AbortController();
    let watch;
    const alive = () => {
      clearTimeout(watch);
      watch = setTimeout(() => this.#stop.abort(), SILENCE);
    };
    alive();
    try {
      const headers = this.#last === undefined ? {} : { "last-event-id": this.#last };
      const response = await request("/sync/events", { headers, signal: this.#stop.signal, quiet: true });
      this.#pause = 500;
      this.changed("live");
      const events = new Events();
      const decoder = new TextDecoder();
      const reader = response.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        alive();
        for (const event of events.push(decoder.decode(value, { stream: true }))) {
          if (event.id !== undefined) this.#last = event.id;
          this.told(event.name, JSON.parse(event.data));
        }
      }
    } finally {
      clearTimeout(watch);
    }
  }

  #sleep(milliseconds) {
    return new Promise((resolve) => {
      const timer = milliseconds === undefined ? undefined : setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
