// Who is in the room.

import { byId, make } from "./dom.js";
import { shownName } from "./sanitize.js";
import { avatar, nameOf } from "./show.js";
import { isSame } from "./text.js";
import { words } from "./words.js";

const MAX_SHOWN = 500;

export class Members {
  /** `choose(name)` is called when a name is tapped. */
  constructor(choose) {
    this.choose = choose;
    this.all = new Set();
    this.me = "";
    byId("count").addEventListener("click", () => this.toggle(byId("count").getAttribute("aria-expanded") !== "true"));
  }

  get names() {
    return [...this.all].filter((name) => !isSame(name, this.me));
  }

  set(users, me) {
    this.me = me;
    this.all = new Set(users);
    this.changed();
  }

  change(type, name) {
    if (type === "joined") {
      this.all.add(name);
    } else {
      this.all.delete(name);
    }
    this.changed();
  }

  toggle(open) {
    byId("count").setAttribute("aria-expanded", open);
    byId("people").classList.toggle("open", open);
  }

  /** Many may come at once. */
  changed() {
    this.drawing ??= setTimeout(() => {
      this.drawing = undefined;
      this.draw();
    }, 50);
  }

  draw() {
    const count = byId("count");
    count.textContent = words.people(this.all.size);
    const names = [...this.all].sort((one, other) => one.localeCompare(other));
    const items = names.slice(0, MAX_SHOWN).map((name) => this.item(name));
    if (names.length > MAX_SHOWN) {
      items.push(make("li", {}, words.more("…", names.length - MAX_SHOWN)));
    }
    const list = byId("members");
    const focused = document.activeElement?.dataset.name;
    list.replaceChildren(...items);
    if (focused) {
      list.querySelector(`[data-name="${CSS.escape(focused)}"]`)?.focus();
    }
  }

  item(name) {
    if (isSame(name, this.me)) {
      return make("li", {}, make("span", {}, avatar(name), nameOf(name), make("small", {}, words.you)));
    }
    const label = words.writeTo(shownName(name));
    const choose = () => {
      this.toggle(false);
      this.choose(name);
    };
    const button = make(
      "button",
      { type: "button", title: label, onclick: choose, "data-name": name },
      avatar(name),
      nameOf(name),
    );
    return make("li", {}, button);
  }
}
