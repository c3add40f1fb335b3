//! The command line: one table of flags for each program drives parsing, help and the configuration file.

use std::ffi::OsString;
use std::fmt::{Display, Write as _};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Failure, user_directory};

/// One option of a program.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// `listen` for `--listen`.
    pub long: &'static str,
    /// `h` for `-h`.
    pub short: Option<char>,
    /// What the value stands for in help, for example `HOST:PORT`; without one the option is a switch.
    pub value: Option<&'static str>,
    /// The value where the option is not given.
    pub default: Option<&'static str>,
    /// One or two sentences, without the default.
    pub help: &'static str,
}

impl Flag {
    /// An option with a value.
    #[must_use]
    pub const fn value(
        long: &'static str,
        value: &'static str,
        default: Option<&'static str>,
        help: &'static str,
    ) -> Self {
        Self { long, short: None, value: Some(value), default, help }
    }

    /// An option without a value.
    #[must_use]
    pub const fn switch(long: &'static str, help: &'static str) -> Self {
        Self { long, short: None, value: None, default: None, help }
    }
}

/// The options that every program has.
pub const COMMON: &[Flag] = &[
    Flag::value("config", "FILE", None, "Read options from FILE, one \"name = value\" a line."),
    Flag::value("log-level", "LEVEL", Some("info"), "How much to log: off, error, warn, info, debug or trace."),
    Flag { short: Some('h'), ..Flag::switch("help", "Show this help.") },
    Flag { short: Some('V'), ..Flag::switch("version", "Show the version.") },
];

/// A command of a program, which its first argument can name.
#[derive(Debug)]
pub struct Subcommand {
    /// Its name.
    pub name: &'static str,
    /// One or two sentences on what it does.
    pub about: &'static str,
    /// Its arguments beside options, for example `[TEXT]`; empty if it takes none.
    pub arguments: &'static str,
    /// The options that only it has, in the order of the help.
    pub flags: &'static [Flag],
    /// Command lines and what they do.
    pub examples: &'static [(&'static str, &'static str)],
}

/// What a program is, for parsing, for help, and for what is generated from both.
#[derive(Debug)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// One line on what it is for.
    pub about: &'static str,
    /// Its arguments beside options, for example `[COMMAND]`; empty if it takes none.
    pub arguments: &'static str,
    /// Its own options, in the order of the help.
    pub flags: &'static [&'static [Flag]],
    /// Its commands, each with options of its own.
    pub commands: &'static [Subcommand],
    /// Command lines and what they do.
    pub examples: &'static [(&'static str, &'static str)],
    /// The language of the help, as the command line and the environment ask for it.
    pub words: fn(&Options) -> &'static HelpWords,
}

/// The words of one language in a help text; what it lacks is in English, in the tables.
#[derive(Debug)]
pub struct HelpWords {
    /// What the program is for.
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
    /// What an example does.
    pub example: fn(&str) -> Option<&'static str>,
    /// What an option does.
    pub option: fn(&str) -> Option<&'static str>,
    /// What a command does, and the arguments that it takes.
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

    /// What `flag` does.
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

    /// Returns all options, those of its commands included. One of its own takes the place of a common one of the same name.
    pub fn all_flags(&self) -> impl Iterator<Item = &Flag> {
        self.shared_flags().chain(self.commands.iter().flat_map(|command| command.flags))
    }

    /// Returns the options that do not belong to one command.
    fn shared_flags(&self) -> impl Iterator<Item = &Flag> {
        let own = || self.flags.iter().copied().flatten();
        own().chain(COMMON.iter().filter(move |common| !own().any(|flag| flag.long == common.long)))
    }

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
    /// The option and what it does, for a help text.
    fn row(&self, words: &HelpWords) -> (String, String) {
        let default = self.default.map_or_else(String::new, |value| format!(" [{}: {value}]", words.default));
        (self.synopsis(), format!("{}{default}", words.option(self)))
    }

    /// The option in the left column of a help text.
    fn synopsis(&self) -> String {
        let short = self.short.map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
        let value = self.value.map_or_else(String::new, |value| format!(" {value}"));
        format!("  {short}--{}{value}", self.long)
    }
}

/// Two columns, the left one as wide as it needs, the right one wrapped at words; below each other where there is no room.
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

/// A command line, checked against a program's table.
#[derive(Debug, Default, Clone)]
pub struct Options {
    /// What was given, by name; the first of a name counts.
    values: Vec<(&'static str, String)>,
    defaults: Vec<(&'static str, &'static str)>,
    /// The arguments that are not options, in order.
    pub arguments: Vec<String>,
}

impl Options {
    /// Reads `arguments`, which do not include the program's name.
    ///
    /// # Errors
    /// [`Failure::Usage`] that names the argument that is wrong.
    pub fn parse(program: &Program, arguments: impl IntoIterator<Item = OsString>) -> Result<Self, Failure> {
        let (options, outcome) = Self::read(program, arguments);
        outcome.map(|()| options)
    }

    /// Reads `arguments` as [`Options::parse`] does, and returns the options before the wrong one too: the language may be among
    /// them.
    pub(super) fn read(
        program: &Program,
        arguments: impl IntoIterator<Item = OsString>,
    ) -> (Self, Result<(), Failure>) {
        let mut options = Self::default();
        for flag in program.all_flags() {
            if let Some(default) = flag.default {
                options.defaults.push((flag.long, default));
            }
        }
        let outcome = options.add(program, arguments);
        (options, outcome)
    }

    fn add(&mut self, program: &Program, arguments: impl IntoIterator<Item = OsString>) -> Result<(), Failure> {
        let usage = |error: lexopt::Error| Failure::Usage(error.to_string());
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next().map_err(usage)? {
            let flag = match &argument {
                lexopt::Arg::Value(value) => {
                    let text = value.to_str().ok_or_else(|| Failure::Usage("arguments must be UTF-8".into()))?;
                    if program.arguments.is_empty() {
                        return Err(Failure::Usage(format!("unexpected argument {text:?}")));
                    }
                    self.arguments.push(text.to_owned());
                    continue;
                }
                lexopt::Arg::Long(name) => program.all_flags().find(|flag| flag.long == *name),
                lexopt::Arg::Short(name) => program.all_flags().find(|flag| flag.short == Some(*name)),
            };
            let Some(flag) = flag else { return Err(usage(argument.unexpected())) };
            let value = match flag.value {
                Some(_) => parser
                    .value()
                    .map_err(usage)?
                    .into_string()
                    .map_err(|_| Failure::Usage(format!("--{} must be UTF-8", flag.long)))?,
                None => String::new(),
            };
            // The last one counts.
            self.values.insert(0, (flag.long, value));
        }
        let others = program.commands.iter().filter(|command| self.command() != Some(command.name));
        for (command, flag) in others.flat_map(|command| command.flags.iter().map(move |flag| (command, flag))) {
            if self.has(flag.long) {
                return Err(Failure::Usage(format!("--{} belongs to {} {}", flag.long, program.name, command.name)));
            }
        }
        Ok(())
    }

    /// Returns the first argument, which names the command where there are commands.
    fn command(&self) -> Option<&str> {
        self.arguments.first().map(String::as_str)
    }

    /// Reads the file that `--config` names, or else the program's file in the user's configuration directory, if there is
    /// one. What the command line says counts before the file.
    ///
    /// # Errors
    /// [`Failure::Usage`] that names the file and the line that is wrong.
    pub fn read_config(&mut self, program: &Program) -> Result<(), Failure> {
        let named = self.text("config").map(PathBuf::from);
        let Some(path) = named
            .clone()
            .or_else(|| Some(user_directory("XDG_CONFIG_HOME", ".config")?.join(program.name).with_extension("conf")))
        else {
            return Ok(());
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => self
                .add_config(program, &text)
                .map_err(|(line, error)| Failure::Usage(format!("{}, line {line}: {error}", path.display()))),
            // A service that became another user keeps the home of the one that started it, and may not look there.
            Err(error)
                if named.is_none() && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) =>
            {
                Ok(())
            }
            Err(error) => Err(Failure::Usage(format!("cannot read {}: {error}", path.display()))),
        }
    }

    /// Adds the options of a file: one on each line as `name = value`, or `name` alone for a switch. Empty lines and lines
    /// that begin with `#` are skipped. The error comes with the number of its line.
    fn add_config(&mut self, program: &Program, text: &str) -> Result<(), (usize, String)> {
        let mut seen = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, value) =
                line.split_once('=').map_or((line, None), |(name, value)| (name.trim(), Some(value.trim())));
            let flag = program.all_flags().find(|flag| flag.long == name);
            let flag = flag.filter(|flag| !matches!(flag.long, "config" | "help" | "version"));
            let Some(flag) = flag else { return Err((number, format!("there is no option {name:?} for a file"))) };
            if seen.contains(&flag.long) {
                return Err((number, format!("{name} cannot stand twice")));
            }
            seen.push(flag.long);
            let value = match (flag.value, value) {
                (Some(_), Some(value)) if !value.is_empty() => value,
                (Some(what), _) => return Err((number, format!("{name} = {what} is needed"))),
                (None, None | Some("yes")) => "",
                (None, Some("no")) => continue,
                (None, Some(_)) => return Err((number, format!("{name} must be yes or no"))),
            };
            self.values.push((flag.long, value.to_owned()));
        }
        Ok(())
    }

    /// Whether the option was given.
    #[must_use]
    pub fn has(&self, long: &str) -> bool {
        find(&self.values, long).is_some()
    }

    /// Returns the same options with `text` given for `long`.
    #[must_use]
    pub fn with(mut self, long: &'static str, text: String) -> Self {
        self.values.insert(0, (long, text));
        self
    }

    /// The option's text, if it was given or has a default.
    #[must_use]
    pub fn text(&self, long: &str) -> Option<&str> {
        find(&self.values, long).map(String::as_str).or_else(|| find(&self.defaults, long).copied())
    }

    /// The value of an option that was given or has a default.
    ///
    /// # Errors
    /// [`Failure::Usage`] if it is not a `T`, or missing.
    pub fn get<T: FromStr<Err: Display>>(&self, long: &str) -> Result<T, Failure> {
        self.find(long)?.ok_or_else(|| Failure::Usage(format!("--{long} is needed")))
    }

    /// The value of an option that may be absent.
    ///
    /// # Errors
    /// [`Failure::Usage`] if it is not a `T`.
    pub fn find<T: FromStr<Err: Display>>(&self, long: &str) -> Result<Option<T>, Failure> {
        let wrong = |text: &str, error: T::Err| match error.to_string().as_str() {
            // The texts of std about numbers.
            "invalid digit found in string" | "cannot parse integer from empty string" => {
                format!("--{long} must be a whole number, not {text:?}")
            }
            "number too large to fit in target type" => format!("--{long} {text}: the number is too large"),
            error => format!("--{long} {text:?}: {error}"),
        };
        let parse = |text: &str| text.parse().map_err(|error| Failure::Usage(wrong(text, error)));
        self.text(long).map(parse).transpose()
    }

    /// What `--help` or `--version` print, if one of them was given.
    #[must_use]
    pub fn answer(&self, program: &Program) -> Option<String> {
        if self.has("help") {
            let words = (program.words)(self);
            let command = program.commands.iter().find(|command| self.command() == Some(command.name));
            Some(command.map_or_else(|| program.help(words), |command| program.command_help(command, words)))
        } else if self.has("version") {
            Some(format!("{} {}\n", program.name, env!("CARGO_PKG_VERSION")))
        } else {
            None
        }
    }
}

/// The first of that name.
fn find<'a, T>(values: &'a [(&str, T)], long: &str) -> Option<&'a T> {
    values.iter().find(|(name, _)| *name == long).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: Program = Program {
        name: "demo",
        about: "Shows options.",
        arguments: "[run]",
        flags: &[&[Flag::value("port", "PORT", Some("80"), "The port."), Flag::switch("quiet", "Say less.")]],
        commands: &[Subcommand {
            name: "run",
            about: "Runs.",
            arguments: "[FAR]",
            flags: &[Flag::value("to", "PLACE", None, "Where to.")],
            examples: &[("demo run --to x", "runs to x")],
        }],
        examples: &[("demo --port 1", "does nothing")],
        words: |_| &HelpWords::ENGLISH,
    };

    fn parse(arguments: &[&str]) -> Result<Options, Failure> {
        Options::parse(&PROGRAM, arguments.iter().map(OsString::from))
    }

    #[test]
    fn options_have_their_values_or_their_defaults() {
        let options = parse(&["--port", "81", "--quiet"]).unwrap();
        assert_eq!(options.get::<u16>("port").unwrap(), 81);
        assert!(options.has("quiet"));
        assert_eq!(parse(&["--port=82"]).unwrap().get::<u16>("port").unwrap(), 82);
        assert_eq!(parse(&[]).unwrap().get::<u16>("port").unwrap(), 80);
    }

    #[test]
    fn a_wrong_command_line_says_what_is_wrong() {
        for (arguments, part) in [
            (&["--nope"][..], "--nope"),
            (&["--port"], "port"),
            (&["--to", "x"], "--to belongs to demo run"),
            (&["--quiet=yes"], "quiet"),
            (&["-x"], "-x"),
        ] {
            let message = parse(arguments).unwrap_err().to_string();
            assert!(message.contains(part), "{arguments:?}: {message}");
        }
        let without = Program { arguments: "", ..PROGRAM };
        let message = Options::parse(&without, [OsString::from("stray")]).unwrap_err().to_string();
        assert!(message.contains("stray"), "{message}");
        for (port, wanted) in [
            ("many", "--port must be a whole number, not \"many\""),
            ("-1", "--port must be a whole number, not \"-1\""),
            ("65536", "--port 65536: the number is too large"),
        ] {
            let error = parse(&["--port", port]).unwrap().get::<u16>("port").unwrap_err();
            assert_eq!(error.to_string(), wanted);
        }
    }

    #[test]
    fn help_names_every_option_and_example() {
        let help = PROGRAM.help(&HelpWords::ENGLISH);
        for part in ["--port PORT", "[default: 80]", "--quiet", "--log-level LEVEL", "-h, --help", "demo --port 1"] {
            assert!(help.contains(part), "{part} is missing in\n{help}");
        }
    }

    #[test]
    fn a_command_has_options_and_help_of_its_own() {
        let options = parse(&["run", "--to", "x", "--port=1", "far"]).unwrap();
        assert_eq!((options.text("to"), options.arguments.len()), (Some("x"), 2));
        let help = parse(&["run", "--help"]).unwrap().answer(&PROGRAM).unwrap();
        for part in ["Usage: demo run [OPTIONS] [FAR]", "--to PLACE", "All other options: demo --help", "runs to x"] {
            assert!(help.contains(part), "{part} is missing in\n{help}");
        }
        assert!(!help.contains("--port PORT"), "{help}");
        assert!(!PROGRAM.help(&HelpWords::ENGLISH).contains("--to"));
        assert!(PROGRAM.all_flags().any(|flag| flag.long == "to"));
    }

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

    #[test]
    fn a_file_gives_what_the_command_line_does_not() {
        let mut options = parse(&["--port", "81"]).unwrap();
        options.add_config(&PROGRAM, "# a comment\n\nport = 82\nquiet\nlog-level=debug\n").unwrap();
        assert_eq!(options.get::<u16>("port").unwrap(), 81);
        assert!(options.has("quiet"));
        assert_eq!(options.text("log-level"), Some("debug"));
        let mut options = parse(&[]).unwrap();
        options.add_config(&PROGRAM, "port = 82\nquiet = no\n").unwrap();
        assert_eq!(options.get::<u16>("port").unwrap(), 82);
        assert!(!options.has("quiet"));
    }

    #[test]
    fn a_wrong_file_names_the_line() {
        for (text, line, part) in [
            ("nope = 1", 1, "nope"),
            ("\nport", 2, "PORT"),
            ("port =", 1, "PORT"),
            ("quiet = perhaps", 1, "yes or no"),
            ("port = 1\nport = 2", 2, "twice"),
            ("help", 1, "help"),
            ("config = other", 1, "config"),
        ] {
            let (number, message) = parse(&[]).unwrap().add_config(&PROGRAM, text).unwrap_err();
            assert_eq!(number, line, "{text}");
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
