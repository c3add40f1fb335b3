//! Command lines, files and help of a small program.

use super::*;

const PROGRAM: Program = Program {
    name: "demo",
    about: "Shows options.",
    arguments: "[run]",
    flags: &[&[
        Flag::value("port", "PORT", Some("80"), "The port."),
        Flag::switch("quiet", "Say less."),
        Flag::switch("loud", "Say more."),
    ]],
    commands: &[Subcommand {
        name: "run",
        about: "Runs.",
        arguments: "[FAR]",
        flags: &[Flag::value("to", "PLACE", None, "Where to.")],
        examples: &[("demo run --to x", "runs to x")],
    }],
    alternatives: &[&["quiet", "loud"]],
    of_features: &[("far", "travel")],
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
        (&["--far", "x"], "cargo build --release --features travel"),
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
fn a_file_gives_what_the_command_line_does_not() {
    let mut options = parse(&["--port", "81"]).unwrap();
    options.add_config(&PROGRAM, "# a comment\n\nport = 82\nquiet\nlog-level=debug\n").unwrap();
    assert_eq!(options.get::<u16>("port").unwrap(), 81);
    assert!(options.has("quiet"));
    assert_eq!(options.text("log-level"), Some("debug"));
    let mut options = parse(&["--loud"]).unwrap();
    options.add_config(&PROGRAM, "quiet\nport = 82\n").unwrap();
    assert!(options.has("loud") && !options.has("quiet"), "one takes the place of the other");
    assert_eq!(options.get::<u16>("port").unwrap(), 82);
    let mut options = parse(&[]).unwrap();
    options.add_config(&PROGRAM, "port = 82\nquiet = no\n").unwrap();
    assert_eq!(options.get::<u16>("port").unwrap(), 82);
    assert!(!options.has("quiet"));
}

#[test]
fn a_wrong_file_names_the_line() {
    for (text, line, part) in [
        ("nope = 1", 1, "nope"),
        ("far = x", 1, "--features travel"),
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
