//! The command line: one table of flags for each program drives parsing, help and the configuration file.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Failure, user_directory};

mod help;

pub use help::HelpWords;

/// One option of a program.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// `listen` for `--listen`.
    pub long: &'static str,
    /// `h` for `-h`.
    pub short: Option<char>,
    /// The name of the value in help, for example `HOST:PORT`; without one the option is a switch.
    pub value: Option<&'static str>,
    /// The value where the option is not given.
    pub default: Option<&'static str>,
    /// One or two sentences, without the default.
    pub help: &'static str,
}

impl Flag {
    /// Returns an option with a value.
    #[must_use]
    pub const fn value(
        long: &'static str,
        value: &'static str,
        default: Option<&'static str>,
        help: &'static str,
    ) -> Self {
        Self { long, short: None, value: Some(value), default, help }
    }

    /// Returns an option without a value.
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

/// The tables of a program, for parsing, for help, and for the manual and completions that are generated from them.
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
    /// Sets of options that take each other's place: one on the command line rules out all of its set in a file.
    pub alternatives: &'static [&'static [&'static str]],
    /// Options that only builds with a Cargo feature have, each with that feature.
    pub of_features: &'static [(&'static str, &'static str)],
    /// Command lines and what they do.
    pub examples: &'static [(&'static str, &'static str)],
    /// The language of the help, as the command line and the environment ask for it.
    pub words: fn(&Options) -> &'static HelpWords,
}

impl Program {
    /// Returns all options, those of its commands included. One of its own takes the place of a common one of the same name.
    pub fn all_flags(&self) -> impl Iterator<Item = &Flag> {
        self.shared_flags().chain(self.commands.iter().flat_map(|command| command.flags))
    }

    /// Returns the options that do not belong to one command.
    fn shared_flags(&self) -> impl Iterator<Item = &Flag> {
        let own = || self.flags.iter().copied().flatten();
        own().chain(COMMON.iter().filter(move |common| !own().any(|flag| flag.long == common.long)))
    }

    /// Returns the error for the option `long`, which this build lacks, if other builds have it.
    fn missing(&self, long: &str) -> Option<String> {
        let (_, feature) = self.of_features.iter().find(|(name, _)| *name == long)?;
        Some(format!("this build has no --{long}; cargo build --release --features {feature} makes one that has"))
    }
}

/// A command line, checked against a program's table.
#[derive(Debug, Default, Clone)]
pub struct Options {
    /// The values given, by name; the first of a name counts.
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
            let Some(flag) = flag else {
                let missing = if let lexopt::Arg::Long(name) = &argument { program.missing(name) } else { None };
                return Err(missing.map_or_else(|| usage(argument.unexpected()), Failure::Usage));
            };
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
        let given = program.alternatives.iter().filter(|set| set.iter().any(|long| self.has(long)));
        let ruled_out: Vec<_> = given.copied().flatten().collect();
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
            let Some(flag) = flag else {
                let unknown = || format!("there is no option {name:?} for a file");
                return Err((number, program.missing(name).unwrap_or_else(unknown)));
            };
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
            if !ruled_out.contains(&&flag.long) {
                self.values.push((flag.long, value.to_owned()));
            }
        }
        Ok(())
    }

    /// Returns whether the option was given.
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

    /// Returns the option's text, if it was given or has a default.
    #[must_use]
    pub fn text(&self, long: &str) -> Option<&str> {
        find(&self.values, long).map(String::as_str).or_else(|| find(&self.defaults, long).copied())
    }

    /// Returns the value of an option that was given or has a default.
    ///
    /// # Errors
    /// [`Failure::Usage`] if it is not a `T`, or missing.
    pub fn get<T: FromStr<Err: Display>>(&self, long: &str) -> Result<T, Failure> {
        self.find(long)?.ok_or_else(|| Failure::Usage(format!("--{long} is needed")))
    }

    /// Returns the number of an option that was given or has a default.
    ///
    /// # Errors
    /// [`Failure::Usage`] if it is not a whole number within `bounds`, or missing.
    pub fn number(&self, long: &str, bounds: RangeInclusive<u64>) -> Result<u64, Failure> {
        let number = self.get(long)?;
        if bounds.contains(&number) {
            return Ok(number);
        }
        Err(Failure::Usage(format!("--{long} must be {} to {}", bounds.start(), bounds.end())))
    }

    /// Returns the value of an option that may be absent.
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

    /// Returns the text of `--help` or `--version`, if one of them was given.
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

/// Returns the first value of that name.
fn find<'a, T>(values: &'a [(&str, T)], long: &str) -> Option<&'a T> {
    values.iter().find(|(name, _)| *name == long).map(|(_, value)| value)
}

#[cfg(test)]
mod tests;
