// A room: what was said, who is there, and what is to be said.

import { Composer } from "./composer.js";
import { byId, make } from "./dom.js";
import { explained } from "./door.js";
import { keepRead, readIn } from "./keep.js";
import { Log } from "./log.js";
import { Members } from "./members.js";
import { sanitized, shownName } from "./sanitize.js";
import { avatar, element, fewNames, nameOf, said, timeOf, timeOfDay } from "./show.js";
import { isSame, mentions } from "./text.js";
import { words } from "./words.js";

const OLDER_AGAIN = 5000;
const ANNOUNCE_AFTER = 800;

export class Room {
  constructor({ back, open, refused, otherName }) {
    this.open = open;
    this.refused = (error) => refused(error, this.name);
    this.session = null;
    this.composer = new Composer(
      (text, to) => this.session.send(this.name, text, to),
      () => this.members.names,
    );
    this.members = new Members((name) => this.composer.writeTo(name));
    this.settings(otherName);
    this.log = new Log(byId("log"), {
      render: (entry, before) => element(entry, before, (name) => this.composer.writeTo(name)),
      older: () => this.older(),
      moved: () => this.moved(),
    });
    this.unheard = [];
    byId("back").addEventListener("click", back);
    byId("jump").addEventListener("click", () => this.log.jump());
    const attend = () => this.attend();
    addEventListener("focus", attend);
    addEventListener("blur", () => this.turnAway());
    document.addEventListener("visibilitychange", () => (document.hidden ? this.turnAway() : attend()));
    fitKeyboard();
  }

  /** Who this browser is. */
  get me() {
    return this.session.identity.name;
  }

  // What the session tells.

  async entered({ users, messages, room_id: roomId }) {
    this.name = this.session.room;
    this.roomId = roomId;
    this.waiting = 0;
    this.calls = 0;
    this.mark = undefined;
    this.outage = false;
    this.back = undefined;
    this.hasAll = false;
    this.isLoading = false;
    byId("room").hidden = false;
    byId("room-name").textContent = shownName(this.name);
    byId("settings-open").replaceChildren(avatar(this.me), nameOf(this.me));
    this.bar();
    this.log.clear();
    this.members.set(users, this.me);
    this.log.add(...messages.map((message) => this.entry(message)));
    this.log.draw();
    for (const item of this.outbox.of(this.name)) {
      this.typed(item);
    }
    this.composer.enter();
    this.moved();
    await this.markUnread();
    this.attend();
  }

  hide() {
    byId("room").hidden = true;
  }

  live({ users, last_id: lastId, missed }) {
    this.members.set(users, this.me);
    if (missed > 0) {
      this.note(words.missed(missed));
    }
    this.behind = lastId;
    if (this.outage) {
      this.outage = false;
      this.reconnected();
    }
    this.bar();
  }

  /** A note that says so; where the last one stands, in its place. */
  reconnected() {
    const isAgain = this.back && this.log.last === this.back.entry;
    const received = { count: isAgain ? this.back.received.count : 0, at: timeOfDay(new Date()) };
    const text = () => words.reconnected(received.at, received.count);
    const entry = isAgain ? Object.assign(this.back.entry, { text }) : this.note(text);
    this.back = { received, entry };
    this.log.update(entry);
  }

  message(message) {
    const entry = this.entry(message);
    if (this.back && message.id <= this.behind && !entry.mine) {
      this.back.received.count += 1;
      this.log.update(this.back.entry);
    }
    if (!entry.mine) {
      if (!this.isAttended) {
        this.mark ??= entry;
        entry.unread = this.mark === entry;
        this.waiting += 1;
        this.calls += entry.called || entry.to ? 1 : 0;
      }
      this.announce(entry);
    }
    this.log.add(entry);
  }

  /** What came in one piece is there. */
  flush() {
    this.log.draw();
    this.moved();
  }

  presence(type, name) {
    const [into, from] = type === "joined" ? ["came", "went"] : ["went", "came"];
    this.members.change(type, name);
    const last = this.log.last?.presence && this.log.last;
    const presence = last ? last.presence : { came: [], went: [] };
    presence[from] = presence[from].filter((other) => other !== name);
    presence[into] = [...presence[into].filter((other) => other !== name), name];
    if (last) {
      this.log.update(last);
    } else {
      this.note(() => toldPresence(presence)).presence = presence;
    }
  }

  lost() {
    this.outage = true;
    this.bar(words.lost, words.keepWriting);
  }

  retrying(pause) {
    this.outage = true;
    const seconds = Math.max(1, Math.round(pause / 1000));
    const retrying = make("span", { "aria-hidden": "true" }, words.retrying(seconds));
    this.bar(
      words.lost,
      retrying,
      words.keepWriting,
      action(words.now, () => this.session.nudge()),
    );
  }

  crowded() {
    this.outage = true;
    this.bar(words.crowded);
  }

  forgotten() {
    this.roomId = this.session.roomId;
    this.hasAll = true;
    this.note(words.forgotten);
  }

  /** The user is no longer in the room, by another window. */
  gone() {
    this.bar(
      words.gone,
      action(words.comeBack, () => this.open(this.name)),
    );
  }

  // What was typed here.

  typed(item) {
    if (item.room === this.name) {
      if (this.mark) {
        this.unmark();
      }
      this.log.pending.append(this.pendingNode(item));
      this.log.jump();
    }
  }

  updated(item) {
    this.pendingOf(item.key)?.replaceWith(this.pendingNode(item));
  }

  arrived(key) {
    this.pendingOf(key)?.remove();
  }

  settled(key) {
    const node = this.pendingOf(key);
    if (node) {
      node.remove();
      this.log.add(node.entry);
      this.log.draw();
    }
  }

  pendingOf(key) {
    return Array.from(this.log.pending.children).find((node) => node.key === key);
  }

  pendingNode(item) {
    const { key, text, to, state, error } = item;
    const old = this.pendingOf(key);
    const time = old?.entry.time ?? new Date();
    const entry = { kind: "message", origin: this.me, to, text, time, mine: true, state };
    const node = make("li", { class: `said mine ${to ? "private" : ""} ${state}` }, ...said(entry));
    if (error) {
      const giveBack = () => {
        this.composer.put(to ? `@${to} ${text}` : text);
        this.outbox.remove(key);
      };
      const buttons = [action(words.edit, giveBack), action(words.drop, () => this.outbox.remove(key))];
      node.append(make("p", { class: "why", role: "alert" }, explained(error), " ", ...buttons));
    }
    return Object.assign(node, { key, entry });
  }

  // What is shown.

  entry(message) {
    const { id, origin, content: text } = message;
    const mine = isSame(origin, this.me);
    const to = message.destination || undefined;
    const called = !mine && !to && mentions(text, this.me);
    const state = mine ? "sent" : undefined;
    return { kind: "message", id, roomId: this.roomId, origin, to, text, time: timeOf(message), mine, called, state };
  }

  note(text) {
    const entry = { kind: "note", time: new Date(), text: typeof text === "string" ? () => text : text };
    this.log.add(entry);
    this.log.draw();
    return entry;
  }

  /** The one line about an outage; without anything to say, none. */
  bar(...parts) {
    const bar = byId("outage");
    bar.hidden = parts.length === 0;
    bar.replaceChildren(...parts.flatMap((part) => [part, " "]));
  }

  announce(entry) {
    if (this.unheard.push(entry) === 1) {
      setTimeout(() => {
        const entries = this.unheard.splice(0);
        const told = ({ origin, text }) => make("p", {}, `${shownName(origin)}: ${sanitized(text)}`);
        byId("announced").replaceChildren(...(entries.length > 3 ? [words.announced(entries.length)] : entries.map(told)));
      }, ANNOUNCE_AFTER);
    }
  }

  /** Fetches what is older than what is there. */
  async older() {
    const first = this.log.entries.find((entry) => entry.id);
    if (this.hasAll || this.isLoading || !first || first.id <= 1 || first.roomId !== this.roomId) {
      return;
    }
    this.isLoading = true;
    const { roomId } = this;
    try {
      const messages = await this.session.history();
      if (roomId === this.roomId) {
        this.hasAll = true;
        this.log.prepend(messages.filter(({ id }) => id < first.id).map((message) => this.entry(message)));
      }
      this.isLoading = false;
    } catch {
      // It is asked again when it is scrolled to again, but not at once.
      setTimeout(() => {
        this.isLoading = false;
      }, OLDER_AGAIN);
    }
  }

  // What was read.

  /** Marks where this user left off, and goes there. */
  async markUnread() {
    const read = readIn(this.name);
    if (read?.roomId !== this.roomId) {
      return;
    }
    const isUnread = (entry) => entry.id > read.id && !entry.mine;
    if (this.log.entries[0]?.id > read.id + 1) {
      await this.older();
    }
    const first = this.log.entries.find(isUnread);
    if (first) {
      this.mark = first;
      first.unread = true;
      this.log.update(first);
      this.log.show(first);
    }
  }

  unmark() {
    this.mark.unread = false;
    this.log.update(this.mark);
    this.mark = undefined;
  }

  get isAttended() {
    return !document.hidden && document.hasFocus() && this.log.following;
  }

  /** What is on the screen of somebody who looks at it is read. */
  attend() {
    if (!this.name || byId("room").hidden) {
      return;
    }
    if (!document.hidden && document.hasFocus()) {
      this.calls = 0;
      if (this.log.following) {
        this.waiting = 0;
        this.keepReadSoon();
      }
    }
    document.title = `${this.calls > 0 ? `(${this.calls}) ` : ""}${shownName(this.name)} · ${words.title}`;
    const jump = byId("jump");
    jump.hidden = this.log.following;
    jump.textContent = `${words.jump(this.waiting)} ↓`;
  }

  keepReadSoon() {
    this.saving ??= setTimeout(() => {
      this.saving = undefined;
      if (this.session?.room) {
        keepRead(this.session.room, this.session.roomId, this.session.lastId);
      }
    }, 500);
  }

  /** Whoever looks away with nothing unread finds the line where they left off. */
  turnAway() {
    if (this.mark && this.log.following) {
      this.unmark();
    }
  }

  moved() {
    byId("empty").hidden = this.log.entries.length > 0 || this.log.pending.children.length > 0;
    this.attend();
  }

  settings(otherName) {
    const dialog = byId("settings");
    const secret = byId("kept-secret");
    const reveal = byId("reveal");
    const showing = (shown) => {
      secret.type = shown ? "text" : "password";
      reveal.textContent = shown ? words.hide : words.show;
    };
    byId("settings-open").addEventListener("click", () => {
      byId("you-are").textContent = words.youAre(shownName(this.me));
      byId("copy").textContent = words.copy;
      secret.value = this.session.identity.secret;
      showing(false);
      dialog.showModal();
    });
    reveal.addEventListener("click", () => showing(secret.type === "password"));
    byId("copy").addEventListener("click", async () => {
      await copied(secret, showing);
      byId("copy").textContent = words.copied;
    });
    byId("other-name").addEventListener("click", () => {
      dialog.close();
      otherName();
    });
    dialog.addEventListener("close", () => {
      secret.value = "";
    });
  }
}

const action = (text, onclick) => make("button", { type: "button", class: "link", onclick }, text);

function toldPresence({ came, went }) {
  const told = [
    came.length > 0 && words.joined(fewNames(came), came.length),
    went.length > 0 && words.left(fewNames(went), went.length),
  ];
  return told.filter(Boolean).join(" · ");
}

/** Only pages that came by TLS, or from this machine, have a clipboard. */
async function copied(field, showing) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(field.value);
  } else {
    showing(true);
    field.select();
    document.execCommand("copy");
  }
}

/** Keeps what is typed above a keyboard on the screen, where the browser lays that over the page. */
function fitKeyboard() {
  const viewport = window.visualViewport;
  const fit = () => {
    const isCovered = viewport.scale < 1.05 && viewport.height < innerHeight - 1;
    document.body.style.height = isCovered ? `${viewport.height}px` : "";
    if (isCovered) {
      scrollTo(0, 0);
    }
  };
  viewport?.addEventListener("resize", fit);
}
