// How a message, a note, a name look.

import { make } from "./dom.js";
import { sanitized, shownName } from "./sanitize.js";
import { color, linked } from "./text.js";
import { locale, words } from "./words.js";

const GROUPED_FOR = 5 * 60_000;
const MAX_NAMES = 5;

const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
const date = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long" });
const dateOfYear = new Intl.DateTimeFormat(locale, { dateStyle: "full" });

const list = new Intl.ListFormat(locale);

export const timeOfDay = (time) => clock.format(time);

const dayOf = (time) => (time.getFullYear() === new Date().getFullYear() ? date : dateOfYear).format(time);

/** When it was said; `timestamp` is the server's local time. */
export function timeOf(message) {
  const time = new Date(message.time ?? message.timestamp?.replace(" ", "T"));
  return Number.isNaN(time.getTime()) ? new Date() : time;
}

export const avatar = (name) =>
  make("span", { class: `avatar c${color(name)}`, "aria-hidden": "true" }, sanitized([...name][0] ?? "?").toUpperCase());

export const nameOf = (name) => make("bdi", { class: `c${color(name)}` }, shownName(name));

/** A few names and how many more. */
export function fewNames(names) {
  const few = names.slice(0, MAX_NAMES).map(shownName);
  return names.length > MAX_NAMES ? words.more(few.join(", "), names.length - MAX_NAMES) : list.format(few);
}

/** A text with its links. */
export function body(text) {
  const parts = linked(sanitized(text, { lines: true })).map(({ text: shown, href }) =>
    href ? make("a", { href, target: "_blank", rel: "noopener noreferrer", title: href }, shown) : shown,
  );
  return make("div", { class: "text", dir: "auto" }, ...parts);
}

const isGrouped = (entry, before) =>
  before?.kind === "message" &&
  !entry.unread &&
  before.origin === entry.origin &&
  before.to === entry.to &&
  entry.time - before.time < GROUPED_FOR &&
  dayOf(before.time) === dayOf(entry.time);

/** The element of an entry of the log. */
export function element(entry, before, writeTo) {
  const day = dayOf(entry.time);
  const isNewDay = !before || dayOf(before.time) !== day;
  const lines = [isNewDay && make("div", { class: "day" }, day), entry.unread && make("div", { class: "unread" }, words.unread)];
  if (entry.kind === "note") {
    return make("li", { class: "note" }, ...lines, make("span", {}, entry.text()));
  }
  return make("li", { class: kindOf(entry, isGrouped(entry, before)) }, ...lines, ...said(entry, writeTo));
}

const kindOf = (entry, grouped) =>
  ["said", entry.mine && "mine", entry.to && "private", entry.called && "called", grouped && "grouped", entry.state]
    .filter(Boolean)
    .join(" ");

const SIGNS = { waiting: "…", sent: "✓", refused: "✗" };

/** A message: who, to whom, the text, when, and what became of it. */
export function said(entry, writeTo) {
  const { origin, to, time, state } = entry;
  const name = make(
    "button",
    { class: "name", type: "button", tabindex: "-1", title: words.writeTo(shownName(origin)), onclick: () => writeTo(origin) },
    nameOf(origin),
  );
  const whom = to && make("span", { class: "whom" }, " → ", nameOf(to), ` · ${words.privately}`);
  const sign = state && make("span", { class: "state", role: "img", "aria-label": words[state] }, SIGNS[state]);
  const bubble = make(
    "div",
    { class: "bubble" },
    make("div", { class: "who" }, entry.mine ? nameOf(origin) : name, whom),
    make(
      "div",
      { class: "line" },
      body(entry.text),
      make("div", { class: "when" }, make("time", { datetime: time.toISOString() }, timeOfDay(time)), sign),
    ),
  );
  return [avatar(origin), bubble];
}
