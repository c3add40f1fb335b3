//! The texts of `--help`, made of a program's tables and the words of a language.

use std::fmt::Write as _;

use super::{Flag, Program, Subcommand};

/// The words of one language in a help text; what it lacks is in English, in the tables.
#[derive(Debug)]
pub struct HelpWords {
    /// The purpose of the program.
    pub about: Option<&'static str>,
    /// Stands before the usage.
    pub usage: &'static str,
    /// Stands for any options in the usage.
    pub options_word: &'static str,
    /// The arguments beside options.
    pub arguments: Option<&'static str>,
    /// Stands before the options.
    pub options: &'static str,
    /// Stands before the value of an option that is not given.
    pub default: &'static str,
    /// Stands before the examples.
    pub examples: &'static str,
    /// Returns what an example does.
    pub example: fn(&str) -> Option<&'static str>,
    /// Returns what an option does.
    pub option: fn(&str) -> Option<&'static str>,
    /// Returns what a command does, and the arguments that it takes.
    pub command: fn(&str) -> Option<(&'static str, &'static str)>,
    /// Returns a text of an error in this language, as far as it is known.
    pub translated: fn(&str) -> String,
    /// Says where to read how the program is used.
    pub see_help: fn(program: &str) -> String,
    /// Says where the options are that a command shares with the program.
    pub more_options: fn(program: &str) -> String,
}

impl HelpWords {
    /// The language of the tables.
    pub const ENGLISH: Self = Self {
        about: None,
        usage: "Usage",
        options_word: "OPTIONS",
        arguments: None,
        options: "Options",
        default: "default",
        examples: "Examples",
        example: |_| None,
        option: |_| None,
        command: |_| None,
        translated: str::to_owned,
        see_help: |program| format!("; see {program} --help"),
        more_options: |program| format!("All other options: {program} --help"),
    };

    /// Returns what `flag` does.
    #[must_use]
    pub fn option(&self, flag: &Flag) -> &'static str {
        (self.option)(flag.long).unwrap_or(flag.help)
    }
}

impl Program {
    /// The widest line of a help text, in columns.
    const HELP_WIDTH: usize = 80;
    /// The least room for the right column of a help text.
    const MIN_RIGHT: usize = 30;

    /// Returns the text of `--help`.
    #[must_use]
    pub fn help(&self, words: &HelpWords) -> String {
        let arguments = words.arguments.filter(|_| !self.arguments.is_empty()).unwrap_or(self.arguments);
        let about = words.about.unwrap_or(self.about);
        let mut text = help_start(about, words, self.name, arguments);
        columns(&mut text, self.shared_flags().map(|flag| flag.row(words)));
        help_examples(&mut text, words, self.examples);
        text
    }

    /// Returns the text of `--help` after the name of `command`.
    #[must_use]
    pub fn command_help(&self, command: &Subcommand, words: &HelpWords) -> String {
        let name = format!("{} {}", self.name, command.name);
        let (about, arguments) = (words.command)(command.name).unwrap_or((command.about, command.arguments));
        let mut text = help_start(about, words, &name, arguments);
        columns(&mut text, command.flags.iter().map(|flag| flag.row(words)));
        let _ = writeln!(text, "  {}", (words.more_options)(self.name));
        help_examples(&mut text, words, command.examples);
        text
    }
}

/// Returns what a help text says before the options.
fn help_start(about: &str, words: &HelpWords, name: &str, arguments: &str) -> String {
    let usage = format!("{}: {name} [{}] {arguments}", words.usage, words.options_word);
    format!("{about}\n{}\n\n{}:\n", usage.trim_end(), words.options)
}

/// Appends the examples.
fn help_examples(text: &mut String, words: &HelpWords, examples: &[(&'static str, &'static str)]) {
    if examples.is_empty() {
        return;
    }
    let _ = write!(text, "\n{}:\n", words.examples);
    let rows = examples
        .iter()
        .map(|&(command, what)| (format!("  {command}"), (words.example)(command).unwrap_or(what).to_owned()));
    columns(text, rows);
}

impl Flag {
    /// Returns the row of the option in a help text.
    fn row(&self, words: &HelpWords) -> (String, String) {
        let default = self.default.map_or_else(String::new, |value| format!(" [{}: {value}]", words.default));
        (self.synopsis(), format!("{}{default}", words.option(self)))
    }

    /// Returns the left column of that row.
    fn synopsis(&self) -> String {
        let short = self.short.map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
        let value = self.value.map_or_else(String::new, |value| format!(" {value}"));
        format!("  {short}--{}{value}", self.long)
    }
}

/// Appends two columns, the left one as wide as it needs, the right one wrapped at words; below each other where there is no room.
fn columns(text: &mut String, rows: impl Iterator<Item = (String, String)>) {
    let rows: Vec<_> = rows.collect();
    let left = rows.iter().map(|(left, _)| left.chars().count()).max().unwrap_or_default() + 2;
    let left = left.min(Program::HELP_WIDTH - Program::MIN_RIGHT);
    for (one, other) in rows {
        text.push_str(&one);
        let mut column = one.chars().count();
        if column + 2 > left {
            text.push('\n');
            column = 0;
        }
        for word in other.split(' ') {
            let width = word.chars().count();
            if column > left && column + 1 + width > Program::HELP_WIDTH {
                text.push('\n');
                column = 0;
            }
            let space = if column < left { left - column } else { 1 };
            text.extend(std::iter::repeat_n(' ', space));
            text.push_str(word);
            column += space + width;
        }
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn help_fits_its_width() {
        let mut text = String::new();
        let long = "word ".repeat(40);
        let rows =
            [("  --short", "What it does."), ("  --a-very-long-option-that-has-no-room-beside HOST:PORT", &long)];
        columns(&mut text, rows.iter().map(|(left, right)| ((*left).to_owned(), right.trim().to_owned())));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.starts_with("  --short                                         What it does.\n"), "{text}");
        assert!(text.contains("HOST:PORT\n                                                  word"), "{text}");
    }
}
