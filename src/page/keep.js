// What the browser keeps for the page: names, secrets and what was read for good, what is on its way until the window is closed.

class Kept {
  constructor(open) {
    this.memory = {};
    try {
      this.storage = open();
    } catch {
      // A browser may refuse; then it is kept until the page is left.
    }
  }

  get(name, otherwise) {
    try {
      return JSON.parse(this.storage.getItem(`chat-rpc.${name}`)) ?? otherwise;
    } catch {
      return this.memory[name] ?? otherwise;
    }
  }

  set(name, value) {
    this.memory[name] = value;
    try {
      this.storage.setItem(`chat-rpc.${name}`, JSON.stringify(value));
    } catch {
      // As above, or there is no room for more.
    }
  }
}

export const browser = new Kept(() => localStorage);
export const tab = new Kept(() => sessionStorage);

/** The secret of a name. */
export const secretOf = (name) => new Map(browser.get("secrets", [])).get(name.toLowerCase());

export function keepIdentity({ name, secret }) {
  const secrets = new Map(browser.get("secrets", []));
  browser.set("secrets", [...secrets.set(name.toLowerCase(), secret)]);
  browser.set("name", name);
}

const MAX_ROOMS = 200;

/** The last message of a room that was read: its room's id and its own. */
export const readIn = (room) => new Map(browser.get("read", [])).get(room);

export function keepRead(room, roomId, id) {
  const read = new Map(browser.get("read", []));
  // The newest stand last.
  read.delete(room);
  browser.set("read", [...read.set(room, { roomId, id })].slice(-MAX_ROOMS));
}
