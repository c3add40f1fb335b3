// The field to write in.

import { byId, make } from "./dom.js";
import { tab } from "./keep.js";
import { sendable, shownName } from "./sanitize.js";
import { nameOf } from "./show.js";
import { isSame } from "./text.js";
import { words } from "./words.js";

const MAX_FOUND = 6;

export class Composer {
  /** `send(text, to)` is called with what was written; `names()` are those that can be written to. */
  constructor(send, names) {
    this.send = send;
    this.names = names;
    this.field = byId("text");
    this.field.addEventListener("input", () => this.changed());
    this.field.addEventListener("keydown", (event) => this.key(event));
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    // A tap on the button would close the keyboard.
    byId("send").addEventListener("pointerdown", (event) => event.preventDefault());
  }

  enter() {
    this.field.value = tab.get("draft", "");
    this.field.placeholder = innerWidth > 480 ? words.placeholder : words.write;
    this.changed();
    if (!isTouched()) {
      this.field.focus();
    }
  }

  put(text) {
    this.field.value = text;
    this.field.focus();
    this.changed();
  }

  writeTo(name) {
    const { text } = this.parsed();
    this.put(`@${name} ${text}`);
  }

  key(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !isTouched()) {
      event.preventDefault();
      this.submit();
    } else if (event.key === "Tab" && !event.shiftKey && this.matches().length > 0) {
      event.preventDefault();
      this.writeTo(this.matches()[0]);
    }
  }

  /** What was written: `@name text` goes to that name only, whoever is there. */
  parsed() {
    const [, name, text] = /^@(\S+)(?:\s+(.*))?$/s.exec(this.field.value) ?? [];
    if (name === undefined) {
      return { text: this.field.value };
    }
    return { to: this.names().find((known) => isSame(known, name)) ?? name, text: text ?? "" };
  }

  submit() {
    const { to, text } = this.parsed();
    if (text.trim()) {
      this.put("");
      this.send(sendable(text), to);
    }
  }

  /** The names that a word after @ may become. */
  matches() {
    const word = /^@(\S*)$/.exec(this.field.value)?.[1].normalize("NFC").toLowerCase();
    if (word === undefined) {
      return [];
    }
    return this.names()
      .filter((name) => name.toLowerCase().startsWith(word))
      .slice(0, MAX_FOUND);
  }

  changed() {
    const { field } = this;
    tab.set("draft", field.value);
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight + field.offsetHeight - field.clientHeight}px`;
    const { to } = this.parsed();
    const found = this.matches();
    const isPrivate = to !== undefined && found.length === 0;
    byId("composer").classList.toggle("private", isPrivate);
    byId("hint").textContent = isPrivate ? words.privateHint(shownName(to)) : "";
    const choice = (name) =>
      make("button", { type: "button", title: words.writeTo(shownName(name)), onclick: () => this.writeTo(name) }, nameOf(name));
    byId("found").replaceChildren(...found.map(choice));
  }
}

/** On a keyboard of glass the return key makes a new line. */
const isTouched = () => matchMedia("(hover: none) and (pointer: coarse)").matches;
