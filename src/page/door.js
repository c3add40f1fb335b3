// The way in: a name, a secret if there is one, and the rooms.

import { byId, make } from "./dom.js";
import { browser, keepIdentity, secretOf } from "./keep.js";
import { call, callAll } from "./rpc.js";
import { sanitized, shownName } from "./sanitize.js";
import { randomText } from "./session.js";
import { words } from "./words.js";

const REFRESH = 10_000;

export class Door {
  /** `open(room, create)` is called to enter a room, once there is a name. */
  constructor(open) {
    this.open = open;
    this.name = byId("name");
    this.secret = byId("secret");
    this.rooms = byId("rooms");
    this.name.value = browser.get("name", "");
    this.name.addEventListener("input", () => this.explain());
    byId("who").addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    byId("make").addEventListener("submit", (event) => {
      event.preventDefault();
      const field = byId("new-room");
      this.choose(field.value.trim(), true);
    });
    setInterval(() => this.refresh(), REFRESH);
    document.addEventListener("visibilitychange", () => this.refresh());
    this.explain();
  }

  get isOpen() {
    return !byId("door").hidden;
  }

  /** `room` is the one that the address names. */
  show(trouble = "", room = "") {
    byId("door").hidden = false;
    byId("go").hidden = !room;
    byId("go").textContent = words.enter(shownName(room));
    byId("trouble").textContent = trouble;
    document.title = words.title;
    this.refresh();
    if (this.name.value === "") {
      this.name.focus();
    }
  }

  hide() {
    byId("door").hidden = true;
  }

  /** What a refusal says, and where it can be mended. */
  refused(error, room) {
    if (error.code === 1 || error.code === 9) {
      byId("have").open = true;
      this.secret.value = "";
    }
    if (error.code === 3) {
      byId("new-room").value = room;
    }
    this.show(explained(error));
    (error.code === 3 ? byId("new-room") : error.code === 7 ? this.name : this.secret).focus();
  }

  explain() {
    byId("secret-help").textContent = secretOf(this.wanted) ? words.secretKept : words.secretHelp;
  }

  get wanted() {
    return this.name.value.trim().normalize("NFC");
  }

  /** Who enters: with the secret that was typed, or the one that is kept, or a new one. */
  identity() {
    const name = this.wanted;
    return name && { name, secret: this.secret.value || secretOf(name) || randomText() };
  }

  /** The name is right: it belongs to this browser now. */
  accepted(identity) {
    keepIdentity(identity);
    this.secret.value = "";
    byId("have").open = false;
    byId("new-room").value = "";
    this.explain();
  }

  submit() {
    (this.rooms.querySelector("button") ?? byId("new-room")).focus();
  }

  choose(room, create = false) {
    if (!this.wanted) {
      this.name.focus();
      this.name.reportValidity();
    } else if (room) {
      this.open(room, create);
    }
  }

  async refresh() {
    if (!this.isOpen || document.hidden) {
      return;
    }
    try {
      const rooms = await call("list_rooms");
      const users = await callAll(
        "list_users",
        rooms.map((room) => [room]),
      );
      const counts = new Map(rooms.map((room, at) => [room, users[at]?.length ?? 0]));
      rooms.sort((one, other) => counts.get(other) - counts.get(one) || one.localeCompare(other));
      this.list(rooms, counts);
    } catch {
      byId("trouble").textContent ||= words.unreachable;
    }
  }

  /** The buttons stay the same elements, so that the focus stays where it is. */
  list(rooms, counts) {
    const old = new Map(Array.from(this.rooms.children, (item) => [item.room, item]));
    const focused = document.activeElement;
    const items = rooms.map((room) => {
      const count = counts.get(room) > 0 ? words.people(counts.get(room)) : words.nobody;
      const item = old.get(room) ?? this.entry(room);
      item.querySelector("small").textContent = count;
      return item;
    });
    this.rooms.replaceChildren(...items);
    if (focused?.isConnected) {
      focused.focus();
    }
    byId("no-rooms").hidden = rooms.length > 0;
    if (byId("trouble").textContent === words.unreachable) {
      byId("trouble").textContent = "";
    }
  }

  entry(room) {
    const enter = () => this.choose(room);
    const item = make(
      "li",
      {},
      make("button", { type: "button", onclick: enter }, make("bdi", {}, shownName(room)), make("small")),
    );
    item.room = room;
    return item;
  }
}

/** An error in the words of the page. */
export function explained(error) {
  if (error.code === undefined) {
    return words.unreachable;
  }
  const text = sanitized(error.message);
  return words.faults[error.code]?.(text) ?? words.failed(text);
}
