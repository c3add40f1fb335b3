// The chat's page: which of its views is shown. The address names the room, never the secret.

import { byId, translate } from "./dom.js";
import { Door, explained } from "./door.js";
import { tab } from "./keep.js";
import { Room } from "./room.js";
import { Outbox, Session } from "./session.js";
import { locale, words } from "./words.js";

document.documentElement.lang = locale;
translate(words);

const wantedRoom = () => {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
};

const door = new Door((room, create) => {
  history.pushState(null, "", `#${encodeURIComponent(room)}`);
  enter(room, create);
});
const view = new Room({ back: leave, open: enter, refused: backToDoor, otherName });
const outbox = new Outbox(tab, view);
view.outbox = outbox;

function withoutRoom() {
  history.replaceState(null, "", location.pathname + location.search);
}

function backToDoor(error, room) {
  withoutRoom();
  view.hide();
  door.refused(error, room);
}

async function enter(room, create = false) {
  const identity = door.identity();
  if (view.session && !sameIdentity(view.session.identity, identity)) {
    view.session.stop();
    view.session = null;
  }
  view.session ??= new Session(identity, view, outbox);
  try {
    await view.session.enter(room, { create });
    door.accepted(identity);
    door.hide();
  } catch (error) {
    if (error.code === undefined) {
      // Not refused, only not reached.
      door.show(explained(error), room);
      setTimeout(() => wantedRoom() === room && view.session?.room !== room && enter(room, create), 3000);
    } else {
      backToDoor(error, room);
    }
  }
}

const sameIdentity = (one, other) => one.name === other.name && one.secret === other.secret;

async function leave() {
  history.pushState(null, "", location.pathname + location.search);
  await left();
}

async function left() {
  view.hide();
  door.show();
  try {
    await view.session?.leave();
  } catch {
    // Whoever is not there has left.
  }
  door.refresh();
}

async function otherName() {
  withoutRoom();
  await left();
  byId("name").select();
}

function route() {
  const room = wantedRoom();
  if (!room) {
    left();
  } else if (!door.identity()) {
    door.show("", room);
  } else if (room !== view.session?.room) {
    enter(room);
  }
}

addEventListener("popstate", route);
const wake = () => view.session?.check();
addEventListener("online", wake);
addEventListener("pageshow", wake);
document.addEventListener("visibilitychange", () => !document.hidden && wake());
byId("who").addEventListener("submit", () => wantedRoom() && route());

route();
