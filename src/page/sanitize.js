// Text from a peer, made harmless to read: by the rules of the terminal, which src/sanitize.rs has.

const MAX_MARKS = 4;
// The blocks in which emoji are.
const EMOJI = "©®™ℹ‼⁉〰〽㊗㊙\\u2190-\\u23ff\\u25a0-\\u27bf\\u2934\\u2935\\u2b00-\\u2bff\\u{1f000}-\\u{1faff}";
// What passes as it is: an emoji with a selector or joined to the next one; a character with a few marks; anything else is looked at.
const PIECES = new RegExp(
  `[${EMOJI}]\\ufe0f?(?:\\u200d[${EMOJI}]\\ufe0f?)*|[^\\p{M}\\p{C}\\p{Zl}\\p{Zp}\\p{DI}]\\p{M}*|.`,
  "gsu",
);
const IS_EMOJI = new RegExp(`^[${EMOJI}]`, "u");
const IS_MARK = /^\p{M}/u;
const IS_HIDDEN = /^[\p{C}\p{Zl}\p{Zp}\p{DI}]/u;
const IS_PLAIN = /^[ -~]*$/;

const spelled = (c) => {
  const code = c.codePointAt(0);
  if (code < 0x20) {
    return String.fromCodePoint(0x2400 + code);
  }
  return code === 0x7f ? "␡" : `\\u{${code.toString(16)}}`;
};

/**
 * Shows what is invisible, controls, and towers of marks by pictures and numbers: `␛`, `\u{202e}`. Nothing of the result does
 * anything but be read. Line breaks and tabs stay where a text may have lines.
 */
export function sanitized(text, { lines = false } = {}) {
  if (IS_PLAIN.test(text)) {
    return text;
  }
  const kept = lines ? text.replaceAll("\r\n", "\n") : text;
  return kept.replace(PIECES, (piece) => {
    if (lines && (piece === "\n" || piece === "\t")) {
      return piece;
    }
    const [first, ...marks] = piece;
    if (IS_HIDDEN.test(first) || IS_MARK.test(first)) {
      return [...piece].map(spelled).join("");
    }
    if (IS_EMOJI.test(first)) {
      return piece;
    }
    return first + marks.map((mark, at) => (at < MAX_MARKS && !IS_HIDDEN.test(mark) ? mark : spelled(mark))).join("");
  });
}

/** A name, on one line and not too long. */
export function shownName(name) {
  const characters = [...sanitized(name)];
  return characters.length > 64 ? `${characters.slice(0, 63).join("")}…` : characters.join("");
}

/** What XML cannot carry, as it is shown: so that what is sent is what was seen. */
export function sendable(text) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are meant.
  return text.replace(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|\p{Cs}/gu, spelled);
}
