//! The command line: one table of flags for each program drives parsing and help.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::{Display, Write as _};
use std::str::FromStr;

use super::Failure;

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
    Flag::value("log-level", "LEVEL", Some("info"), "How much to log: off, error, warn, info, debug or trace."),
    Flag { short: Some('h'), ..Flag::switch("help", "Show this help.") },
    Flag { short: Some('V'), ..Flag::switch("version", "Show the version.") },
];

/// What a program is, for parsing and for help.
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
    /// Command lines and what they do.
    pub examples: &'static [(&'static str, &'static str)],
}

impl Program {
    /// All options. One of its own takes the place of a common one of the same name.
    pub fn all_flags(&self) -> impl Iterator<Item = &Flag> {
        let own = || self.flags.iter().copied().flatten();
        own().chain(COMMON.iter().filter(move |common| !own().any(|flag| flag.long == common.long)))
    }

    /// The text of `--help`.
    #[must_use]
    pub fn help(&self) -> String {
        let arguments = if self.arguments.is_empty() { String::new() } else { format!(" {}", self.arguments) };
        let mut text = format!("{}\n\nUsage: {} [OPTIONS]{arguments}\n\nOptions:\n", self.about, self.name);
        for flag in self.all_flags() {
            let short = flag.short.map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
            let value = flag.value.map_or_else(String::new, |value| format!(" {value}"));
            let default = flag.default.map_or_else(String::new, |default| format!(" [default: {default}]"));
            let left = format!("  {short}--{}{value}", flag.long);
            let _ = writeln!(text, "{left:<32} {}{default}", flag.help);
        }
        text.push_str("\nExamples:\n");
        for (command, what) in self.examples {
            let _ = writeln!(text, "  {command:<50} {what}");
        }
        text
    }
}

/// A command line, checked against a program's table.
#[derive(Debug, Default)]
pub struct Options {
    values: HashMap<&'static str, String>,
    defaults: HashMap<&'static str, &'static str>,
    /// The arguments that are not options, in order.
    pub arguments: Vec<String>,
}

impl Options {
    /// Reads `arguments`, which do not include the program's name.
    ///
    /// # Errors
    /// [`Failure::Usage`] that names the argument that is wrong.
    pub fn parse(program: &Program, arguments: impl IntoIterator<Item = OsString>) -> Result<Self, Failure> {
        let usage = |error: lexopt::Error| Failure::Usage(error.to_string());
        let mut options = Self::default();
        for flag in program.all_flags() {
            if let Some(default) = flag.default {
                options.defaults.insert(flag.long, default);
            }
        }
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next().map_err(usage)? {
            let flag = match &argument {
                lexopt::Arg::Value(value) => {
                    let text = value.to_str().ok_or_else(|| Failure::Usage("arguments must be UTF-8".into()))?;
                    if program.arguments.is_empty() {
                        return Err(Failure::Usage(format!("unexpected argument {text:?}")));
                    }
                    options.arguments.push(text.to_owned());
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
            options.values.insert(flag.long, value);
        }
        Ok(options)
    }

    /// Whether the option was given.
    #[must_use]
    pub fn has(&self, long: &str) -> bool {
        self.values.contains_key(long)
    }

    /// The option's text, if it was given or has a default.
    #[must_use]
    pub fn text(&self, long: &str) -> Option<&str> {
        self.values.get(long).map(String::as_str).or_else(|| self.defaults.get(long).copied())
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
        let parse = |text: &str| text.parse().map_err(|error| Failure::Usage(format!("--{long} {text:?}: {error}")));
        self.text(long).map(parse).transpose()
    }

    /// What `--help` or `--version` print, if one of them was given.
    #[must_use]
    pub fn answer(&self, program: &Program) -> Option<String> {
        if self.has("help") {
            Some(program.help())
        } else if self.has("version") {
            Some(format!("{} {}\n", program.name, env!("CARGO_PKG_VERSION")))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: Program = Program {
        name: "demo",
        about: "Shows options.",
        arguments: "",
        flags: &[&[Flag::value("port", "PORT", Some("80"), "The port."), Flag::switch("quiet", "Say less.")]],
        examples: &[("demo --port 1", "does nothing")],
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
            (&["stray"], "stray"),
            (&["--quiet=yes"], "quiet"),
            (&["-x"], "-x"),
        ] {
            let message = parse(arguments).unwrap_err().to_string();
            assert!(message.contains(part), "{arguments:?}: {message}");
        }
        let message = parse(&["--port", "many"]).unwrap().get::<u16>("port").unwrap_err().to_string();
        assert!(message.contains("--port \"many\""), "{message}");
    }

    #[test]
    fn help_names_every_option_and_example() {
        let help = PROGRAM.help();
        for part in ["--port PORT", "[default: 80]", "--quiet", "--log-level LEVEL", "-h, --help", "demo --port 1"] {
            assert!(help.contains(part), "{part} is missing in\n{help}");
        }
    }
}
