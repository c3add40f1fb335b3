//! Texts that are generated from the tables of options: help, manual pages and completions.

mod support;

#[path = "../examples/generate.rs"]
#[allow(dead_code, unreachable_pub, clippy::print_stderr)]
mod generate;

use chat_rpc::client::PROGRAM;
use chat_rpc::client::locale::{ENGLISH, LANGUAGES};
use support::{Process, TIMEOUT};

fn file(path: &str) -> String {
    generate::files().into_iter().find(|(name, _)| name == path).unwrap_or_default().1
}

/// Runs a shell with a script on standard input, and gives what it prints.
fn shell(shell: &str, script: &str) -> String {
    let mut program = Process::start(&[shell], &["-s"]);
    program.send_line(script);
    program.end_input();
    assert!(program.wait_exit(TIMEOUT).success(), "{shell}");
    assert_eq!(program.stderr.lines(), [""; 0]);
    program.stdout.lines().join("\n")
}

#[test]
fn the_help_of_the_client_fits_on_one_screen() {
    for locale in LANGUAGES {
        let help = PROGRAM.help(&locale.help);
        assert!(help.lines().count() < 24, "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
        assert!(help.contains("man chat-client"), "{help}");
    }
}

#[test]
fn the_help_speaks_the_language_that_is_asked_for() {
    for (environment, arguments, part) in [
        ("LC_ALL=C", &["--help"][..], "Usage: client"),
        ("LC_ALL=pt_BR.UTF-8", &["--help"], "Uso: client"),
        ("LC_ALL=C", &["--lang", "pt", "--help"], "Uso: client"),
    ] {
        let mut client = Process::start(&["env", environment, support::CLIENT[0]], arguments);
        assert!(client.wait_exit(TIMEOUT).success());
        client.stdout.wait_for_line(part, TIMEOUT);
    }
}

#[test]
fn every_option_and_command_is_in_the_manual() {
    for program in [&chat_rpc::binder::PROGRAM, &chat_rpc::chat::PROGRAM, &PROGRAM] {
        let page = file(&format!("man1/chat-{}.1", program.name)).replace("\\-", "-");
        for flag in program.all_flags() {
            assert!(page.contains(&format!("--{}", flag.long)), "--{} in\n{page}", flag.long);
        }
    }
    let page = file("man1/chat-client.1").replace("\\-", "-");
    for row in chat_rpc::client::command::COMMANDS {
        assert!(
            page.contains(&format!(".B /{}", ENGLISH.name(row.command))),
            "{} in\n{page}",
            ENGLISH.name(row.command)
        );
    }
    // A line that begins with a full stop is a request, and all of these are known.
    for line in page.lines().filter(|line| line.starts_with(['.', '\''])) {
        let request = line.split(' ').next().unwrap_or_default();
        assert!([".TH", ".SH", ".TP", ".PP", ".B", ".I", ".IR"].contains(&request), "{line}");
    }
}

#[test]
fn bash_completes() {
    let script = file("bash/chat-client");
    let complete = |words: &str, at: usize| {
        let ask = format!("COMP_WORDS=({words}); COMP_CWORD={at}; _chat_client; echo \"${{COMPREPLY[*]}}\"");
        shell("bash", &format!("{script}\n{ask}"))
    };
    assert_eq!(complete("chat-client --pl", 1), "--plain");
    assert_eq!(complete("chat-client --color a", 2), "auto always");
    assert_eq!(complete("chat-client --color always t", 3), "tail");
    assert_eq!(complete("chat-client --server x", 2), "");
    for program in ["binder", "server"] {
        shell("bash", &file(&format!("bash/chat-{program}")));
    }
}
