//! Sanitizes text from a peer for a terminal or a log.

use std::fmt::{self, Write as _};

/// The most combining marks on one character (UTS 39, section 5.4). Further ones are spelled.
pub const MAX_MARKS: usize = 4;

/// Displays text from a peer so that it has no effect on a terminal.
///
/// The output is one line. Letters of all languages, symbols, emoji and spaces of every width stay as they are. Everything
/// else is spelled, so that an attack is visible:
///
/// - C0 controls and DEL, and so every escape sequence and line break, as their control pictures: `␛`, `␊`, `␡`;
/// - C1 controls (U+009B begins an escape sequence on some terminals), bidirectional, zero-width and other invisible
///   characters, line and paragraph separators, tags, variation selectors, private, unassigned and noncharacters as
///   their number: `\u{9b}`, `\u{202e}`;
/// - combining marks past [`MAX_MARKS`] on one character, and those on nothing, as their number too.
///
/// A zero-width joiner between two emoji and the selector U+FE0F after one stay, because they make `👩‍🚀` and `❤️`. Anywhere
/// else they are spelled, even in Persian or Hindi words. Right-to-left letters stay, so a line may read in another order
/// than it was written, but only as its letters demand.
///
/// A backslash is not doubled, so a peer can write `\u{9b}` by hand, which is as harmless as it looks.
///
/// The output has at most four bytes for each byte of text. A precision such as `{:.80}` bounds its characters, including the
/// ellipsis of a shortened text.
///
/// ```
/// use chat_rpc::sanitize::Sanitized;
/// assert_eq!(Sanitized("olá\x1b[2J\u{202e}").to_string(), r"olá␛[2J\u{202e}");
/// assert_eq!(format!("{:.6}", Sanitized("one\ntwo")), "one␊t…");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Sanitized<'a>(pub &'a str);

impl fmt::Display for Sanitized<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match f.precision() {
            None => pieces(self.0).try_for_each(|piece| piece.write(f)),
            Some(most) => shortened(self.0, most, f),
        }
    }
}

/// Writes at most `most` characters, and reads no more of the text than it needs.
fn shortened(text: &str, most: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut pieces = pieces(text).peekable();
    let mut left = most;
    while let Some(piece) = pieces.next() {
        // It must leave room for the ellipsis, or be the last one.
        let width = piece.width();
        if width < left || width == left && pieces.peek().is_none() {
            piece.write(f)?;
            left -= width;
        } else {
            return if left > 0 { f.write_char('…') } else { Ok(()) };
        }
    }
    Ok(())
}

/// One character of the output.
#[derive(Clone, Copy)]
enum Piece {
    Plain(char),
    Number(char),
}

impl Piece {
    /// Returns the number of characters.
    fn width(self) -> usize {
        match self {
            Self::Plain(_) => 1,
            Self::Number(c) => c.escape_unicode().len(),
        }
    }

    fn write(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(c) => f.write_char(c),
            Self::Number(c) => write!(f, "{}", c.escape_unicode()),
        }
    }
}

fn pieces(text: &str) -> impl Iterator<Item = Piece> {
    // The last character if it stayed as it is, and the marks on it.
    let mut before = None;
    let mut marks = 0;
    let mut rest = text.chars();
    std::iter::from_fn(move || {
        let c = rest.next()?;
        let (piece, mark) = match c {
            ' '..='~' => (Piece::Plain(c), false),
            '\0'..='\x1f' => (Piece::Plain(picture(c)), false),
            '\x7f' => (Piece::Plain('␡'), false),
            SELECTOR if before.is_some_and(is_emoji) => (Piece::Plain(c), true),
            // A selector that stays follows an emoji.
            JOINER
                if before.is_some_and(|c| is_emoji(c) || c == SELECTOR)
                    && rest.clone().next().is_some_and(is_emoji) =>
            {
                (Piece::Plain(c), false)
            }
            _ => match sight(c) {
                Sight::Whole => (Piece::Plain(c), false),
                Sight::Mark if before.is_some() && marks < MAX_MARKS => (Piece::Plain(c), true),
                Sight::Mark | Sight::None => (Piece::Number(c), false),
            },
        };
        marks = if mark { marks + 1 } else { 0 };
        before = matches!(piece, Piece::Plain(_)).then_some(c);
        Some(piece)
    })
}

/// U+FE0F, which asks for the coloured form of an emoji.
const SELECTOR: char = '\u{fe0f}';

const JOINER: char = '\u{200d}';

fn picture(control: char) -> char {
    char::from_u32(0x2400 + u32::from(control)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Returns whether a character is in a block with emoji. The other symbols there are not affected by joiners and selectors.
fn is_emoji(c: char) -> bool {
    matches!(c, '©' | '®' | '™' | 'ℹ' | '‼' | '⁉' | '〰' | '〽' | '㊗' | '㊙'
        | '\u{2190}'..='\u{23ff}' | '\u{25a0}'..='\u{27bf}' | '\u{2934}' | '\u{2935}' | '\u{2b00}'..='\u{2bff}'
        | '\u{1f000}'..='\u{1faff}')
}

/// The visible part of a character beyond ASCII.
#[derive(Clone, Copy)]
enum Sight {
    Whole,
    /// A mark on the character before it.
    Mark,
    None,
}

fn sight(c: char) -> Sight {
    match c {
        // Default-ignorable letters and marks, which std treats as visible, and the two separators among white space.
        '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{ffa0}'
        | '\u{e0100}'..='\u{e01ef}' => Sight::None,
        _ if c.is_control() => Sight::None,
        _ if c.is_whitespace() => Sight::Whole,
        // The tables of std for debug output are in the program anyway. They mark characters that are not printable, and
        // marks without a character before them. tests/sanitize.rs checks this for all characters.
        _ if c.escape_debug().len() == 1 => Sight::Whole,
        _ if is_printable_after_another(c) => Sight::Mark,
        _ => Sight::None,
    }
}

fn is_printable_after_another(c: char) -> bool {
    let mut pair = [b'x'; 5];
    let len = 1 + c.encode_utf8(&mut pair[1..]).len();
    std::str::from_utf8(&pair[..len]).is_ok_and(|pair| pair.escape_debug().count() == 2)
}
