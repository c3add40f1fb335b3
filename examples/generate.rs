//! Makes manual pages, and completions for bash, zsh and fish, from the tables that the programs are parsed by:
//! `cargo run --example generate -- DIRECTORY`. It runs where the programs are built, not where they will run.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use chat_rpc::client::command::COMMANDS;
use chat_rpc::client::locale::{ENGLISH, Locale, all_names};
use chat_rpc::program::{Flag, Program};
use chat_rpc::{binder, chat, client};

const PROGRAMS: [&Program; 3] = [&binder::PROGRAM, &chat::PROGRAM, &client::PROGRAM];

// What goes wrong is for the person who builds the programs.
#[allow(clippy::print_stderr)]
fn main() -> ExitCode {
    let Some(directory) = std::env::args_os().nth(1) else {
        eprintln!("usage: generate DIRECTORY");
        return ExitCode::from(2);
    };
    for (name, text) in files() {
        let path = Path::new(&directory).join(name);
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, text));
        if let Err(error) = made {
            eprintln!("generate: cannot write {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// All files, by their path in the directory.
pub fn files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for program in PROGRAMS {
        let name = installed(program);
        files.push((format!("man1/{name}.1"), manual(program)));
        files.push((format!("bash/{name}"), bash(program)));
        files.push((format!("zsh/_{name}"), zsh(program)));
        files.push((format!("fish/{name}.fish"), fish(program)));
    }
    files
}

/// The name under which a program is installed.
fn installed(program: &Program) -> String {
    format!("chat-{}", program.name)
}

/// The value that follows an option.
enum Value {
    None,
    File,
    OneOf(String),
    Any(&'static str),
}

fn value(flag: &Flag) -> Value {
    match flag.value {
        None => Value::None,
        Some("FILE") => Value::File,
        Some("LEVEL") => Value::OneOf("off error warn info debug trace".into()),
        Some("WHEN") => Value::OneOf("auto always never".into()),
        Some("LANG") => Value::OneOf(Locale::codes().join(" ")),
        Some(other) => Value::Any(other),
    }
}

/// The words that can stand in the place of an option.
fn words(program: &Program) -> &'static str {
    if program.arguments.is_empty() { "" } else { "send tail" }
}

fn manual(program: &Program) -> String {
    let name = installed(program);
    let mut page = format!(
        ".TH {} 1 \"\" \"chat-rpc {}\" \"User Commands\"\n.SH NAME\n{name} \\- {}\n.SH SYNOPSIS\n.B {}\n[OPTIONS] {}\n",
        name.to_uppercase(),
        env!("CARGO_PKG_VERSION"),
        roff(program.about.split([';', ':', '.']).next().unwrap_or_default()),
        roff(&name),
        roff(program.arguments),
    );
    if program.name == "client" {
        page.push_str(CLIENT_DESCRIPTION);
    }
    page.push_str(".SH OPTIONS\n");
    for flag in program.all_flags() {
        let short = flag.short.map_or_else(String::new, |short| format!("\\-{short}, "));
        let value = flag.value.map_or_else(String::new, |value| format!(" {}", roff(value)));
        let default = flag.default.map_or_else(String::new, |default| format!(" The default is {}.", roff(default)));
        let choices = match self::value(flag) {
            Value::OneOf(choices) => {
                format!(" {} is one of {}.", flag.value.unwrap_or_default(), choices.replace(' ', ", "))
            }
            Value::None | Value::File | Value::Any(_) => String::new(),
        };
        let _ =
            writeln!(page, ".TP\n.B {short}\\-\\-{}{value}\n{}{choices}{default}", roff(flag.long), roff(flag.help));
    }
    if program.name == "client" {
        page.push_str(".SH COMMANDS\n");
        for spec in COMMANDS {
            let others: Vec<_> = all_names(spec.command).skip(1).collect();
            let also = if others.is_empty() { String::new() } else { format!(" Also: {}.", others.join(", ")) };
            let _ = writeln!(
                page,
                ".TP\n.B /{}\n{}.{also} Example: {}",
                roff(&ENGLISH.usage(spec)),
                roff(&capitalized(ENGLISH.explanation(spec.command))),
                roff(spec.example)
            );
        }
        page.push_str(CLIENT_REST);
    }
    let _ = write!(page, ".SH CONFIGURATION\n{}", roff(&CONFIGURATION.replace("PROGRAM", program.name)));
    page.push_str(".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage.\n.SH EXAMPLES\n");
    let more = if program.name == "client" { CLIENT_EXAMPLES } else { &[] };
    for (command, what) in more.iter().chain(program.examples) {
        let _ = writeln!(page, ".TP\n.B chat\\-{}\n{}.", roff(command), roff(&capitalized(what)));
    }
    page
}

const CLIENT_DESCRIPTION: &str = ".SH DESCRIPTION
Lets you chat in rooms. A line typed in a room is sent to it; a line that begins with a slash is a command, and
.I //
sends a slash. The words of the commands
.IR create ,\\ join ,\\ leave ,\\ send ,\\ list ,\\ users ,\\ help
and
.I exit
need no slash, nor do their Portuguese names.
.I @NAME TEXT
is for one user alone. The sign after the time of a message says that the server has it (\\[u2713]), that it is on its way
(\\[u2026]), that it was refused (\\[u2717]), or that it mentions you (!). A line divides the messages that you have seen from those
that came while you were away.
.PP
Up brings back typed lines, also those of earlier chats; a line that begins with a space is not kept. Tab completes commands,
rooms and users. Ctrl-R finds an earlier line that contains the typed text, and Ctrl-_ undoes. Ctrl-C drops the line; in an empty
one, pressed twice within two seconds, it leaves. Ctrl-D in an empty line leaves.
.PP
.B send
sends TEXT, or without it each line of standard input, to the room that \\-\\-room names, and ends. It needs \\-\\-user. Its
exit status says whether the server has all of it.
.B tail
prints what is said in the room until a signal. For both, standard output carries messages only, and everything else goes to
standard error.
";

/// Further examples for the manual, which has room for them.
const CLIENT_EXAMPLES: &[(&str, &str)] = &[
    ("client --local", "starts the chat on this machine, or joins it"),
    ("client --room lobby --on-mention \"notify-send chat\"", "shows a notification when somebody calls"),
    ("client send --user bot --room ops \"deployed\"", "sends one message and ends"),
];

const CLIENT_REST: &str = ".SH MENTIONS
\\-\\-on-mention runs COMMAND when a message mentions the user or is private for the user, never twice at a time. COMMAND is
taken apart at its spaces, and no shell sees it. Its environment has CHAT_FROM, CHAT_ROOM, CHAT_TEXT, and CHAT_PRIVATE, which is
1 for a private message and empty for others. Whoever writes the message decides what is in CHAT_TEXT: quote it.
.SH FILES
.TP
.I ~/.local/state/chat-rpc/history
What was typed, for Up. Only its owner may read it. XDG_STATE_HOME names another place than ~/.local/state.
.TP
.I ~/.local/state/chat-rpc/read
How far rooms were read, for the line between what was seen and what is new.
.TP
.I ~/.local/state/chat-rpc/secrets
The secrets that prove the user's names, one for each server and name.
.SH ENVIRONMENT
.TP
.B CHAT_SECRET
The secret that proves the user's name, instead of a file.
.TP
.B LC_ALL, LC_MESSAGES, LANG
The language, where \\-\\-lang does not say it.
.TP
.B NO_COLOR
If it is set, there are no colours, unless \\-\\-color says otherwise.
.TP
.B TERM
With dumb, lines are plain as with \\-\\-plain.
";

const CONFIGURATION: &str = "Options can stand in a file as well, one on each line: name = value, or the name alone for an \
option without a value. Lines that begin with # are comments. --config names the file; without it, it is \
~/.config/chat-rpc/PROGRAM.conf, if there is one. XDG_CONFIG_HOME names another place than ~/.config. The command line counts \
before the file.\n";

/// Text that the formatter of manual pages leaves alone.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('~', "\\(ti").replace('\'', "\\(aq");
    if text.starts_with('.') { format!("\\&{text}") } else { text }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn bash(program: &Program) -> String {
    let name = installed(program);
    let function = name.replace('-', "_");
    let mut cases = String::new();
    for flag in program.all_flags() {
        let reply = match value(flag) {
            Value::None => continue,
            Value::File => "mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")".to_owned(),
            Value::OneOf(choices) => format!("mapfile -t COMPREPLY < <(compgen -W '{choices}' -- \"$cur\")"),
            Value::Any(_) => ":".to_owned(),
        };
        let _ = writeln!(cases, "        --{}) {reply}; return ;;", flag.long);
    }
    let options: String = program.all_flags().map(|flag| format!(" --{}", flag.long)).collect();
    let all = format!("{}{options}", words(program));
    format!(
        "_{function}() {{\n    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}}\n    COMPREPLY=()\n    \
         case $prev in\n{cases}    esac\n    mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$cur\")\n}}\n\
         complete -o filenames -F _{function} {name}\n",
        all.trim()
    )
}

fn zsh(program: &Program) -> String {
    let quoted = |text: &str| text.replace('\'', "'\\''").replace('[', "\\[").replace(']', "\\]").replace(':', "\\:");
    let mut text = format!("#compdef {}\n_arguments", installed(program));
    for flag in program.all_flags() {
        let help = quoted(flag.help);
        let long = flag.long;
        let end = match value(flag) {
            Value::None => String::new(),
            Value::File => ":file:_files".to_owned(),
            Value::OneOf(choices) => format!(":{long}:({choices})"),
            Value::Any(what) => format!(":{}: ", quoted(what)),
        };
        let equals = if flag.value.is_some() { "=" } else { "" };
        let _ = write!(text, " \\\n  '--{long}{equals}[{help}]{end}'");
        if let Some(short) = flag.short {
            let _ = write!(text, " \\\n  '-{short}[{help}]{end}'");
        }
    }
    if !program.arguments.is_empty() {
        let _ = write!(text, " \\\n  '1::command:({})'", words(program));
    }
    text.push('\n');
    text
}

fn fish(program: &Program) -> String {
    let name = installed(program);
    let mut text = format!("complete -c {name} -f\n");
    for flag in program.all_flags() {
        let short = flag.short.map_or_else(String::new, |short| format!(" -s {short}"));
        let value = match value(flag) {
            Value::None => String::new(),
            Value::File => " -r -F".to_owned(),
            Value::OneOf(choices) => format!(" -x -a '{choices}'"),
            Value::Any(_) => " -x".to_owned(),
        };
        let help = flag.help.replace('\\', "\\\\").replace('\'', "\\'");
        let _ = writeln!(text, "complete -c {name} -l {}{short}{value} -d '{help}'", flag.long);
    }
    if !program.arguments.is_empty() {
        let _ = writeln!(text, "complete -c {name} -n __fish_use_subcommand -a '{}'", words(program));
    }
    text
}
