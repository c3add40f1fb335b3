// What was said, as a list of which only a part is in the document: however much there is, scrolling stays smooth.

import { make } from "./dom.js";

const MAX_NODES = 300;
const STEP = 100;
const MAX_ENTRIES = 12_000;
const DROPPED = 2000;
// Pixels: how near to an end more is put there, and what still counts as the end.
const AHEAD = 800;
const NEAR = 60;

export class Log {
  /** `render(entry, before)` makes the element of an entry; `before` is the entry before it. `older()` is called at the beginning. */
  constructor(scroller, { render, older, moved }) {
    this.scroller = scroller;
    this.list = make("ol");
    this.pending = make("ol");
    scroller.append(this.list, this.pending);
    this.render = render;
    this.older = older;
    this.moved = moved;
    scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    const resized = new ResizeObserver(() => this.following && this.toEnd());
    resized.observe(scroller);
    resized.observe(this.list);
    resized.observe(this.pending);
    this.clear();
  }

  clear() {
    this.entries = [];
    this.from = 0;
    this.to = 0;
    this.following = true;
    this.list.replaceChildren();
    this.pending.replaceChildren();
  }

  get last() {
    return this.entries.at(-1);
  }

  node(at) {
    return this.render(this.entries[at], this.entries[at - 1]);
  }

  /** Adds entries at the end. `draw` shows them, so that many at once cost one layout. */
  add(...entries) {
    this.entries.push(...entries);
  }

  draw() {
    if (this.entries.length > MAX_ENTRIES) {
      if (this.from < DROPPED) {
        this.restart();
      }
      this.entries.splice(0, DROPPED);
      this.from -= DROPPED;
      this.to -= DROPPED;
    }
    if (this.following) {
      if (this.entries.length - this.to > MAX_NODES) {
        this.restart();
      }
      this.extendDown(MAX_NODES);
      this.trim();
      this.toEnd();
    } else {
      this.extendDown(MAX_NODES - (this.to - this.from));
    }
  }

  /** Shows the newest entries only. */
  restart() {
    this.list.replaceChildren();
    this.from = Math.max(0, this.entries.length - STEP);
    this.to = this.from;
    this.extendDown(STEP);
  }

  /** Shows an entry anew. */
  update(entry) {
    const at = this.entries.lastIndexOf(entry);
    if (at >= this.from && at < this.to) {
      this.list.children[at - this.from].replaceWith(this.node(at));
    }
  }

  /** Puts older entries before those that are there. */
  prepend(entries) {
    this.entries.unshift(...entries);
    this.from += entries.length;
    this.to += entries.length;
    this.keepPlace(() => {
      if (this.to > this.from) {
        this.list.firstElementChild.replaceWith(this.node(this.from));
      }
      this.extendUp();
    });
  }

  extendDown(count) {
    const to = Math.min(this.entries.length, this.to + count);
    const nodes = [];
    for (; this.to < to; this.to += 1) {
      nodes.push(this.node(this.to));
    }
    this.list.append(...nodes);
  }

  extendUp() {
    const from = Math.max(0, this.from - STEP);
    const nodes = [];
    for (let at = from; at < this.from; at += 1) {
      nodes.push(this.node(at));
    }
    this.list.prepend(...nodes);
    this.from = from;
  }

  /** Takes from the document what is far above. */
  trim() {
    while (this.to - this.from > MAX_NODES) {
      this.list.firstElementChild.remove();
      this.from += 1;
    }
  }

  trimEnd() {
    while (this.to - this.from > MAX_NODES) {
      this.list.lastElementChild.remove();
      this.to -= 1;
    }
  }

  /** Changes the list without moving what is read. */
  keepPlace(change) {
    const top = this.scroller.getBoundingClientRect().top;
    const seen = [...this.list.children].findIndex((node) => node.getBoundingClientRect().bottom > top);
    const entry = this.entries[this.from + seen];
    const before = this.place(entry);
    change();
    const after = this.place(entry);
    if (before !== undefined && after !== undefined) {
      this.scroller.scrollTop += after - before;
    }
  }

  /** Where the text of an entry stands. Its element may be another one by and by. */
  place(entry) {
    const at = this.entries.indexOf(entry);
    return this.list.children[at - this.from]?.lastElementChild.getBoundingClientRect().top;
  }

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const below = scrollHeight - scrollTop - clientHeight;
    this.following = below < NEAR && this.to === this.entries.length;
    if (scrollTop < AHEAD) {
      if (this.from > 0) {
        this.keepPlace(() => {
          this.extendUp();
          this.trimEnd();
        });
      } else {
        this.older();
      }
    } else if (below < AHEAD && this.to < this.entries.length) {
      this.keepPlace(() => {
        this.extendDown(STEP);
        this.trim();
      });
    }
    this.moved();
  }

  /** Goes to the newest. */
  jump() {
    if (this.to < this.entries.length) {
      this.restart();
    }
    this.following = true;
    this.toEnd();
    this.moved();
  }

  toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  /** Goes to an entry, which comes to stand near the top. */
  show(entry) {
    const at = this.entries.indexOf(entry);
    if (at < this.from) {
      this.keepPlace(() => {
        while (this.from > at) {
          this.extendUp();
        }
        this.trimEnd();
      });
    }
    const node = this.list.children[at - this.from];
    if (node) {
      this.scroller.scrollTop += node.getBoundingClientRect().top - this.scroller.getBoundingClientRect().top - NEAR;
      this.scrolled();
    }
  }
}
