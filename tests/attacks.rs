//! Every attack by documents and by HTTP, played against running programs: each is refused soon and cheaply, and at the
//! end the program answers within its usual time and memory.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

#[path = "corpus/attacks.rs"]
mod corpus;
mod support;

use std::fmt::Write as _;
use std::io;
use std::time::{Duration, Instant};

use corpus::Attack;
use corpus::Outcome::{Closed, Fault, Status};
use support::http::{Answer, Connection};
use support::peer::{Peer, Usage, resident_kb};
use support::{ANY_PORT, BINDER, CommandLine, Process, SERVER};

/// Within this the answer is there, on a busy machine too. (An idle one needs milliseconds.)
const SOON: Duration = Duration::from_secs(3);
/// An attack makes a program larger by less than this, in kB.
const GROWTH_KB: u64 = 4096;
/// The time after which the programs close a silent connection.
const IDLE: Duration = Duration::from_secs(4);

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
}

fn fault_code(answer: &Answer) -> Option<i32> {
    if answer.status == 200 { answer.value().err().map(|fault| fault.code) } else { None }
}

/// Plays one attack, and says what is wrong with what came of it.
fn play(program: &Process, attack: &Attack) -> Result<(), String> {
    let usage = Usage::of(program);
    let mut connection = Connection::open(program.address());
    connection.offer(&attack.bytes);
    if attack.ends {
        connection.end();
    }
    let waits = match attack.outcome {
        // The program waits for the missing bytes.
        Status(408) => SOON + IDLE,
        Closed | Status(_) | Fault(_) => SOON,
    };
    let reply = connection.answer();
    let time = usage.time();
    match (&reply, attack.outcome) {
        (Err(error), Closed) if is_closed(error) => {}
        (Ok(answer), Fault(code)) if fault_code(answer) == Some(code) => {}
        (Ok(answer), Status(status)) if answer.status == status => {}
        (reply, outcome) => return Err(format!("{outcome:?} was expected, not {reply:.300?}")),
    }
    if time > waits {
        return Err(format!("it took {time:?}"));
    }
    // Other connections are served while this one is still there.
    let after = Instant::now();
    Connection::open(program.address()).call("system.listMethods", &[]).unwrap();
    if after.elapsed() > SOON {
        return Err("the program does not answer others".into());
    }
    let growth = usage.growth_kb();
    if growth > GROWTH_KB { Err(format!("it took {growth} kB")) } else { Ok(()) }
}

/// The slowest and the quickest of some calls.
fn times(peer: &Peer) -> (Duration, Duration) {
    let times = (0..30).map(|_| {
        let start = Instant::now();
        peer.ok("system.listMethods", &[]);
        start.elapsed()
    });
    let times: Vec<_> = times.collect();
    (times.iter().copied().max().unwrap(), times.iter().copied().min().unwrap())
}

fn withstands(line: CommandLine, arguments: &[&str]) {
    let idle = IDLE.as_secs().to_string();
    let options = ["--listen", ANY_PORT, "--connection-idle", &idle];
    let program = Process::serve(line, &[&options[..], arguments].concat());
    let peer = Peer::open(&program);
    let (usual, _) = times(&peer);
    let before = resident_kb(&program);

    let attacks = corpus::by_xml().into_iter().chain(corpus::by_http()).collect::<Vec<_>>();
    let mut failed = String::new();
    for attack in &attacks {
        if let Err(what) = play(&program, attack) {
            let _ = write!(failed, "\n{}: {what}", attack.name);
        }
    }
    assert!(failed.is_empty(), "of {} attacks:{failed}", attacks.len());

    let (_, quickest) = times(&peer);
    assert!(quickest < usual + Duration::from_millis(100), "calls take {quickest:?}, and took {usual:?} at the most");
    let growth = resident_kb(&program).saturating_sub(before);
    assert!(growth < 2 * GROWTH_KB, "it has grown by {growth} kB for good");
    let log = program.stderr.lines().join("\n");
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn the_chat_server_withstands_every_attack() {
    withstands(SERVER, &["--no-binder"]);
}

#[test]
fn the_binder_withstands_every_attack() {
    withstands(BINDER, &[]);
}
