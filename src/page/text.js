// What there is to know of names and texts: whose colour, whose name, which links.

const COLORS = 10;

/** Names are the same in capitals and small letters. */
export const isSame = (one, other) => folded(one) === folded(other);
const folded = (name) => name.normalize("NFC").toLowerCase();

/** The number of a user's colour, as in the terminal: FNV-1a of the name in small letters. */
export function color(name) {
  const bytes = new TextEncoder().encode(name.toLowerCase());
  return (bytes.reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193), 0x811c9dc5) >>> 0) % COLORS;
}

/** Whether a text has a name as a word in it. */
export function mentions(text, name) {
  const word = folded(name).replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
  return new RegExp(`(?<![\\p{L}\\p{N}])${word}(?![\\p{L}\\p{N}])`, "u").test(folded(text));
}

/** Takes a sanitized text apart into what is read and links that may be followed: `{text, href}`. */
export function linked(text) {
  const parts = [];
  let done = 0;
  for (const { 0: found, index } of text.matchAll(/\bhttps?:\/\/[^\s<>"'`{}|\\^]+/giu)) {
    const address = trimmed(found);
    const href = safeAddress(address);
    if (href) {
      parts.push({ text: text.slice(done, index) }, { text: address, href });
      done = index + address.length;
    }
  }
  parts.push({ text: text.slice(done) });
  return parts.filter((part) => part.text);
}

/** Without the punctuation of the sentence around it. */
function trimmed(address) {
  const short = address.replace(/[.,;:!?…*_~]+$/u, "");
  const isOpen = (open, close) => short.endsWith(close) && short.split(open).length < short.split(close).length;
  const wrapped = [
    ["(", ")"],
    ["[", "]"],
  ].some(([open, close]) => isOpen(open, close));
  return wrapped ? trimmed(short.slice(0, -1)) : short;
}

/** The address if it is what it looks like: no name before an @, which is often taken for the host. */
function safeAddress(text) {
  try {
    const url = new URL(text);
    const plain = /^https?:$/.test(url.protocol) && url.host && !url.username && !url.password;
    return plain ? url.href : undefined;
  } catch {
    return undefined;
  }
}
