// What happens: signs in, joins a room, listens to its stream, sends what was typed, and comes back after an outage. It knows nothing of
// how that is shown: it calls the methods of `view`.

import { EventParser } from "./events.js";
import { authorization, call, Fault, readText } from "./rpc.js";
import { isSame } from "./text.js";

const FIRST_PAUSE = 250;
const LAST_PAUSE = 8000;
// The server writes something every 15 s.
const SILENCE = 40_000;
const SUSPICIOUS = 20_000;
// Calls that fail in a row, though the stream is there, after which a message is given back.
const MAX_TRIES = 5;
// As many keys as a server knows of one user.
const KEYS = 256;

const MAX_GHOSTS = 3;

const FATAL = [1, 7, 9];

export class Session {
  constructor(identity, view, outbox) {
    this.identity = identity;
    this.headers = authorization(identity);
    this.view = view;
    this.outbox = outbox;
    this.room = null;
    this.roomId = "";
    this.lastId = 0;
    this.shown = new Set();
    this.isLive = false;
    this.heard = 0;
    this.stream = null;
    this.nudge = () => {};
    this.life = 0;
  }

  call(method, ...params) {
    return call(method, params, this.headers);
  }

  /** Joins `room`, and stays there through outages until it is left. Throws a fault if that is refused. */
  async enter(room, { create = false } = {}) {
    this.stop();
    const life = this.life;
    await this.register();
    const joined = await this.join(room, create);
    if (life !== this.life) {
      return;
    }
    this.room = room;
    this.roomId = joined.room_id;
    this.lastId = joined.last_id;
    for (const message of joined.messages) {
      this.isShown(message);
      this.forget(message);
    }
    this.view.entered(joined);
    this.keep(life);
  }

  async leave() {
    const room = this.room;
    this.stop();
    if (room) {
      await this.call("leave_room", this.identity.name);
    }
  }

  /** Ends the stream and whatever would bring it back. */
  stop() {
    this.life += 1;
    this.room = null;
    this.isLive = false;
    this.stream?.abort();
    this.nudge();
  }

  async register() {
    await this.call("register_user", this.identity.name);
  }

  async join(room, create) {
    const join = () => this.call("join_room", this.identity.name, room);
    try {
      return await join();
    } catch (error) {
      if (error.code !== 3 || !create) {
        throw error;
      }
      // Another one may have been faster.
      await this.call("create_room", room).catch((fault) => {
        if (fault.code !== 4) {
          throw fault;
        }
      });
      return join();
    }
  }

  /** All messages that the server has kept for this user. */
  history() {
    return this.call("receive_messages", this.identity.name, this.room);
  }

  /** Listens for as long as the room is not left. */
  async keep(life) {
    let pause = FIRST_PAUSE;
    let ended = false;
    // Streams that were cut off a moment ago, as by a reload, count until the server has seen that.
    let refusals = 0;
    while (life === this.life) {
      const since = Date.now();
      try {
        const status = await this.listen(life);
        if (life !== this.life) {
          return;
        }
        if (status === 409 && ended) {
          // The stream was ended and the server is there: this user has gone elsewhere, in another window.
          this.stop();
          this.view.gone();
          return;
        }
        if (status === 200) {
          ended = this.ended;
          if (ended) {
            continue;
          }
        } else if ([403, 404, 409].includes(status)) {
          await this.rejoin(life);
          if (pause === FIRST_PAUSE) {
            pause *= 2;
            continue;
          }
        }
        refusals = status === 429 ? refusals + 1 : 0;
      } catch (error) {
        refusals = 0;
        if (life !== this.life) {
          return;
        }
        if (FATAL.includes(error.code)) {
          this.stop();
          this.view.refused(error);
          return;
        }
      }
      ended = false;
      pause = Date.now() - since > 10_000 ? FIRST_PAUSE : pause;
      await this.rest(pause * (1 - Math.random() / 4), refusals);
      pause = Math.min(pause * 2, LAST_PAUSE);
    }
  }

  /** Waits, unless something says that the network may be back. */
  async rest(pause, refusals) {
    if (refusals === 0) {
      this.view.retrying(pause);
    } else if (refusals > MAX_GHOSTS) {
      this.view.crowded();
    }
    await new Promise((resolve) => {
      this.nudge = resolve;
      setTimeout(resolve, pause);
    });
  }

  /** The server knows this user no more, or not in this room. */
  async rejoin(life) {
    await this.register();
    const joined = await this.join(this.room, true);
    if (life === this.life && joined.room_id !== this.roomId) {
      this.renew(joined.room_id);
      for (const message of joined.messages) {
        this.take(message);
      }
      this.view.flush();
      this.lastId = joined.last_id;
    }
  }

  /** It is a new room of the same name: what was known of the one before means nothing here. */
  renew(roomId) {
    this.roomId = roomId;
    this.lastId = 0;
    this.outbox.settle();
    this.view.forgotten();
  }

  /** Reads the stream to its end. Returns the status of the answer. */
  async listen(life) {
    const { name } = this.identity;
    const query = new URLSearchParams({ username: name, room: this.room });
    const stream = new AbortController();
    this.stream = stream;
    this.ended = false;
    this.heard = Date.now();
    const watch = setInterval(() => this.check(SILENCE), 5000);
    try {
      const response = await fetch(`events?${query}`, {
        headers: { ...this.headers, "Last-Event-ID": `${this.roomId}:${this.lastId}` },
        signal: stream.signal,
        cache: "no-store",
      });
      if (response.status === 200) {
        const parser = new EventParser((event) => life === this.life && this.event(event));
        const decoder = new TextDecoder();
        const reader = response.body.getReader();
        for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
          this.heard = Date.now();
          parser.push(decoder.decode(chunk.value, { stream: true }));
          this.view.flush();
        }
      }
      return response.status;
    } finally {
      clearInterval(watch);
      stream.abort();
      if (this.isLive && life === this.life) {
        this.isLive = false;
        this.view.lost();
      }
    }
  }

  /** Gives the stream up if nothing was heard for too long, as after a sleep. */
  check(longest = SUSPICIOUS) {
    if (Date.now() - this.heard > longest) {
      this.stream?.abort();
    }
    this.nudge();
  }

  event({ type, data, id }) {
    const value = readText(data);
    switch (type) {
      case "room":
        if (value.room_id !== this.roomId) {
          this.renew(value.room_id);
        }
        this.isLive = true;
        this.view.live(value);
        this.pump();
        break;
      case "message":
        this.roomId = id.slice(0, id.lastIndexOf(":")) || this.roomId;
        this.take(value);
        break;
      case "joined":
      case "left":
        this.view.presence(type, value);
        break;
      case "end":
        this.ended = true;
        break;
    }
  }

  /** A message, each once. */
  take(message) {
    if (message.id > this.lastId) {
      this.lastId = message.id;
      this.forget(message);
      if (!this.isShown(message)) {
        this.view.message(message);
      }
    }
  }

  /** Whether a message was shown before, and notes that it is now: a server that lost its memory is sent some of them again. */
  isShown({ origin, key }) {
    const name = `${origin}\n${key}`;
    const isShown = this.shown.has(name);
    if (key) {
      this.shown.add(name);
    }
    if (this.shown.size > KEYS) {
      this.shown.delete(this.shown.values().next().value);
    }
    return isShown;
  }

  /** What comes back from the server is no longer on its way. */
  forget(message) {
    if (message.key && isSame(message.origin, this.identity.name)) {
      this.outbox.remove(message.key);
    }
  }

  /** Sends a text to `room`, now or when it is joined again. */
  send(room, text, to) {
    this.outbox.add({ key: randomText(), room, text, to, state: "waiting" });
    this.pump();
  }

  /** Sends what waits, one after the other, each with the key it was given when it was typed: so a second try adds nothing. */
  async pump() {
    const { life, room } = this;
    if (this.pumping) {
      return;
    }
    this.pumping = true;
    let tries = 0;
    for (let next = this.outbox.next(room); next && this.isLive && life === this.life; next = this.outbox.next(room)) {
      try {
        await this.call("send_message", this.identity.name, room, next.text, next.to ?? "", next.key);
        this.outbox.sent(next);
        tries = 0;
      } catch (error) {
        tries += 1;
        const seconds = error.code === 10 ? Number(/([\d.]+) seconds/.exec(error.message)?.[1] ?? 1) : 0;
        const isRefused = error instanceof Fault && ![2, 3, 5, 9, 10].includes(error.code);
        if (isRefused || tries > MAX_TRIES) {
          this.outbox.refuse(next, error);
          tries = 0;
        } else if (error.code === 10) {
          tries -= 1;
          await wait(seconds * 1000);
        } else {
          if (error instanceof Fault) {
            // The stream will find out what is wrong, and come back when it is right.
            this.stream?.abort();
          }
          await wait(FIRST_PAUSE * 2 ** tries);
        }
      }
    }
    this.pumping = false;
    if (life !== this.life && this.isLive) {
      this.pump();
    }
  }
}

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** 128 random bits in hexadecimal. */
export function randomText() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What was typed and is not yet seen in the room. It outlives a reload of the page. */
export class Outbox {
  constructor(storage, view) {
    this.storage = storage;
    this.view = view;
    this.items = storage.get("outbox", []);
  }

  keep() {
    this.storage.set(
      "outbox",
      this.items.filter((item) => item.state === "waiting"),
    );
  }

  of(room) {
    return this.items.filter((item) => item.room === room);
  }

  next(room) {
    return this.of(room).find((item) => item.state === "waiting");
  }

  add(item) {
    this.items.push(item);
    this.keep();
    this.view.typed(item);
  }

  remove(key) {
    this.items = this.items.filter((item) => item.key !== key);
    this.keep();
    this.view.arrived(key);
  }

  sent(item) {
    item.state = "sent";
    this.keep();
    this.view.updated(item);
  }

  refuse(item, error) {
    item.state = "refused";
    item.error = error;
    this.keep();
    this.view.updated(item);
  }

  /** The room was lost with the server's memory: what was sent there will not come back. */
  settle() {
    for (const { key } of this.items.filter((item) => item.state === "sent")) {
      this.items = this.items.filter((item) => item.key !== key);
      this.view.settled(key);
    }
  }
}
