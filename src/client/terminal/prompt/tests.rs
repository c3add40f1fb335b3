//! The prompt on terminals that wrap lines anew, and on those that do not.

use super::*;

const MESSAGES: [&str; 3] = ["one", "two", "three"];
const PROMPT: &str = "ana@lobby> ";

/// A screen without top and bottom, on which only narrow characters are written.
#[derive(Clone)]
struct Model {
    reflows: bool,
    columns: usize,
    /// Rows, and whether each goes on in the next one.
    rows: Vec<(String, bool)>,
    row: usize,
    column: usize,
}

impl Model {
    fn new(reflows: bool, columns: usize) -> Self {
        Self { reflows, columns, rows: vec![(String::new(), false)], row: 0, column: 0 }
    }

    fn write(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            match c {
                '\n' => (self.row, self.column) = (self.row + 1, 0),
                '\r' => self.column = 0,
                '\x08' => self.column = self.column.min(self.columns - 1).saturating_sub(1),
                '\x1b' => {
                    let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap();
                    let count = rest[1..end].parse().unwrap_or(1);
                    match &rest[end..=end] {
                        "A" => self.row = self.row.saturating_sub(count),
                        "C" => self.column = (self.column + count).min(self.columns - 1),
                        "D" => self.column = self.column.min(self.columns - 1).saturating_sub(count),
                        "J" => {
                            self.rows.truncate(self.row + 1);
                            self.rows[self.row].0.truncate(self.column);
                            self.rows[self.row].1 = false;
                        }
                        other => panic!("{other}"),
                    }
                    rest = &rest[end + 1..];
                }
                c => self.put(c),
            }
            while self.rows.len() <= self.row {
                self.rows.push((String::new(), false));
            }
        }
    }

    fn put(&mut self, c: char) {
        if self.column == self.columns {
            self.rows[self.row].1 = true;
            (self.row, self.column) = (self.row + 1, 0);
            if self.rows.len() == self.row {
                self.rows.push((String::new(), false));
            }
        }
        let row = &mut self.rows[self.row].0;
        while row.len() < self.column {
            row.push(' ');
        }
        row.replace_range(self.column..row.len().min(self.column + 1), &c.to_string());
        self.column += 1;
    }

    fn resize(&mut self, columns: usize) {
        let (row, column) = (self.row, self.column.min(self.columns - 1));
        if self.reflows {
            let mut wrapped = Self::new(true, columns);
            let (mut line, mut cursor) = (String::new(), None);
            for (at, (text, goes_on)) in self.rows.iter().enumerate() {
                if at == row {
                    cursor = Some(line.len() + column);
                }
                line.push_str(text);
                if !goes_on {
                    let first = wrapped.row;
                    for c in line.chars() {
                        wrapped.put(c);
                    }
                    if let Some(cursor) = cursor.take() {
                        (self.row, self.column) = (first + cursor / columns, cursor % columns);
                    }
                    line.clear();
                    if at + 1 < self.rows.len() {
                        wrapped.write("\n");
                    }
                }
            }
            self.rows = wrapped.rows;
        } else {
            for (text, _) in &mut self.rows {
                text.truncate(columns);
            }
            self.column = column.min(columns - 1);
        }
        self.columns = columns;
    }

    fn messages(&self) -> Vec<&str> {
        self.rows.iter().map(|(text, _)| text.as_str()).filter(|text| MESSAGES.contains(text)).collect()
    }

    fn prompts(&self) -> usize {
        self.rows.iter().filter(|(text, _)| text.starts_with(PROMPT)).count()
    }
}

fn size(columns: usize) -> Size {
    Size { columns, rows: 24 }
}

/// Paints as the client does.
fn show(model: &mut Model, prompt: &mut Prompt, parts: (&str, &str)) {
    model.write(&prompt.paint(PROMPT, PROMPT, parts, size(model.columns)));
    if prompt.is_below_others() {
        let seen = Seen { column: model.column, columns: model.columns };
        model.write(&prompt.settle(Some(seen)));
    }
}

#[test]
fn a_line_is_painted_with_its_cursor_and_erased_again() {
    for columns in 20..=60 {
        for length in 0..70 {
            let text = "x".repeat(length);
            for cursor in [0, length / 2, length] {
                let mut model = Model::new(false, columns);
                model.write("one\ntwo\nthree\n");
                let mut prompt = Prompt::default();
                show(&mut model, &mut prompt, text.split_at(cursor));
                let at = PROMPT.len() + cursor;
                assert_eq!((model.row, model.column), (3 + at / columns, at % columns), "{columns} {length} {cursor}");
                model.write(&prompt.erase());
                assert_eq!((model.row, model.column), (3, 0));
                assert_eq!(
                    model.rows.iter().map(|(row, _)| row.as_str()).collect::<Vec<_>>(),
                    ["one", "two", "three", ""]
                );
            }
        }
    }
}

/// Both kinds of terminals, each width after each other one, with lines of one row and of several, and a terminal that
/// does not say where the cursor is.
#[test]
fn no_resize_erases_a_message() {
    for (reflows, length, answers) in [
        (true, 5, true),
        (true, 230, true),
        (false, 70, true),
        (false, 230, true),
        (true, 150, false),
        (false, 150, false),
    ] {
        let text = "x".repeat(length);
        for old in 20..=200 {
            let mut painted = Model::new(reflows, old);
            painted.write("one\ntwo\nthree\n");
            let mut first = Prompt::default();
            show(&mut painted, &mut first, (&text, ""));
            for new in 20..=200 {
                let (mut model, mut prompt) =
                    (painted.clone(), Prompt { painted: first.painted.clone(), reflows: None });
                model.resize(new);
                model.write(&prompt.erase_resized(new, answers.then_some(model.column)));
                assert_eq!(model.messages(), MESSAGES, "{reflows} {length}: {old} to {new}");
            }
        }
    }
}

#[test]
fn once_the_terminal_is_known_there_is_one_prompt() {
    let text = "x".repeat(100);
    for reflows in [true, false] {
        let mut model = Model::new(reflows, 120);
        model.write("one\ntwo\nthree\n");
        let mut prompt = Prompt::default();
        show(&mut model, &mut prompt, (&text, ""));
        // All steps of a window that is dragged smaller, larger, and in jumps.
        let steps = (20..120).rev().chain(21..=200).chain([40, 200, 41, 37, 111, 30, 60, 33, 150]);
        for columns in steps {
            model.resize(columns);
            let column = Some(model.column);
            model.write(&prompt.erase_resized(columns, column));
            show(&mut model, &mut prompt, (&text, ""));
            assert_eq!((model.messages(), model.prompts()), (MESSAGES.to_vec(), 1), "{reflows} {columns}");
        }
    }
}

#[test]
fn what_is_typed_at_the_end_erases_nothing() {
    for columns in 20..60 {
        let size = size(columns);
        let (mut model, mut prompt) = (Model::new(false, columns), Prompt::default());
        model.write("one\ntwo\nthree\n");
        model.write(&prompt.paint(PROMPT, PROMPT, ("", ""), size));
        let text = "abcdefghijklmnopqrstuvwxyz".repeat(4);
        for end in 1..text.len() {
            let shown = prompt.extend(PROMPT, (&text[..end], ""), size).unwrap();
            assert!(!shown.contains('J') && !shown.contains('A'), "{shown:?}");
            model.write(&shown);
            let at = PROMPT.len() + end;
            assert_eq!((model.row, model.column), (3 + at / columns, at % columns), "{columns} {end}");
        }
        assert_eq!(prompt.extend(PROMPT, ("abd", ""), size), None);
        assert_eq!(prompt.extend(PROMPT, (&text, "x"), size), None);
        let mut other = Prompt::default();
        let mut whole = Model::new(false, columns);
        whole.write("one\ntwo\nthree\n");
        whole.write(&other.paint(PROMPT, PROMPT, (&text[..text.len() - 1], ""), size));
        let trimmed = |model: &Model| model.rows.iter().map(|row| row.0.trim_end().to_owned()).collect::<Vec<_>>();
        assert_eq!(trimmed(&model), trimmed(&whole));
    }
    let mut prompt = Prompt::default();
    prompt.paint(PROMPT, PROMPT, ("e", ""), size(80));
    assert_eq!(prompt.extend(PROMPT, ("e\u{301}", ""), size(80)), None);
}

/// Between any two sizes, the client may paint once before it hears of the new one.
#[test]
fn what_is_painted_for_another_size_than_the_terminal_has_erases_no_message() {
    let text = "x".repeat(150);
    for reflows in [true, false] {
        for (believed, real) in (20..=200).step_by(3).flat_map(|old| (20..=200).step_by(3).map(move |new| (old, new))) {
            for cursor in [0, 75, 150] {
                let mut model = Model::new(reflows, real);
                model.write("one\ntwo\nthree\n");
                let mut prompt = Prompt::default();
                model.write(&prompt.paint(PROMPT, PROMPT, text.split_at(cursor), size(believed)));
                let seen = |model: &Model| Seen { column: model.column, columns: model.columns };
                model.write(&prompt.settle(Some(seen(&model))));
                if believed == real {
                    assert!(prompt.is_as_painted(seen(&model)));
                    continue;
                }
                model.write(&prompt.erase_resized(real, Some(model.column)));
                assert_eq!(model.messages(), MESSAGES, "{reflows}: {believed}, but {real}");
            }
        }
    }
}

#[test]
fn a_line_longer_than_the_screen_is_shown_around_its_cursor() {
    let text: String = ('a'..='z').cycle().take(4000).collect();
    let mut prompt = Prompt::default();
    for cursor in [0, 2000, 4000] {
        let shown = prompt.paint(PROMPT, PROMPT, text.split_at(cursor), Size { columns: 40, rows: 5 });
        assert!(shown.len() < 40 * 4 + 20, "{}", shown.len());
        let near = text.get(cursor.saturating_sub(20)..cursor).unwrap();
        assert!(shown.contains(near), "{shown}");
    }
}

#[test]
fn what_is_typed_is_only_shown() {
    let shown = Prompt::default().paint("> ", "> ", ("one\ntwo\u{202e}\x1b[2J", ""), size(80));
    assert!(shown.starts_with("> one⏎two\\u{202e}␛[2J "), "{shown:?}");
}
