//! `--data`: what the chat knows outlives its process, whatever ends that, and a full disk loses nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "what fails here fails a test")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use chat_rpc::rpc::{CallError, Client, Credentials, Fault, Value};
use support::home::Home;
use support::peer::{Peer, contents};
use support::{ANY_PORT, Process, SERVER, TIMEOUT, eventually};

fn server(home: &Home, listen: &str, options: &[&str]) -> Process {
    let data = home.0.join("data");
    let common = ["--listen", listen, "--no-binder", "--message-rate", "0", "--data", data.to_str().unwrap()];
    Process::serve(SERVER, &[&common, options].concat())
}

#[test]
fn users_rooms_history_and_the_identity_are_there_after_a_kill() {
    let home = Home::new();
    let mut first = server(&home, ANY_PORT, &[]);
    let peer = Peer::open(&first);
    let own = |program: &Process, secret: &str| {
        let credentials = Credentials { user: "ana".into(), secret: secret.into() };
        Client::new(program.address()).with_credentials(&credentials)
    };
    own(&first, "right").call("register_user", &["ana".into()]).unwrap();
    peer.ok("register_user", &["bob".into()]);
    peer.ok("create_room", &["lobby".into()]);
    own(&first, "right").call("join_room", &["ana".into(), "lobby".into()]).unwrap();
    let joined = peer.ok("join_room", &["bob".into(), "lobby".into()]);
    let say = |peer: &Peer, text: &str, to: &str, key: &str| {
        peer.ok("send_message", &["bob".into(), "lobby".into(), text.into(), to.into(), key.into()]);
    };
    say(&peer, "to all", "", "one");
    say(&peer, "to ana", "ana", "two");
    let (before, identity) = (peer.ok("receive_messages", &["bob".into(), "lobby".into()]), peer.server_id());
    first.kill();

    let second = server(&home, ANY_PORT, &[]);
    let peer = Peer::open(&second);
    assert_eq!(peer.server_id(), identity);
    assert_eq!(peer.ok("receive_messages", &["bob".into(), "lobby".into()]), before);
    // What was sent before is not sent again, and numbers go on.
    say(&peer, "to ana", "ana", "two");
    say(&peer, "after", "", "three");
    let after = peer.ok("receive_messages", &["bob".into(), "lobby".into()]);
    assert_eq!(contents(&after), ["to all", "to ana", "after"]);
    let again = peer.ok("join_room", &["bob".into(), "lobby".into()]);
    assert_eq!(again.member("room_id"), joined.member("room_id"));
    assert_eq!(again.member("last_id"), Some(&Value::Int(3)));
    for (secret, code) in
        [("wrong", Some(Fault::NOT_AUTHORISED)), ("right", None), ("wrong", Some(Fault::NOT_AUTHORISED))]
    {
        let read = own(&second, secret).call("receive_messages", &["ana".into(), "lobby".into()]);
        let refused = match &read {
            Err(CallError::Fault(fault)) => Some(fault.code),
            other => other.as_ref().err().map(|error| panic!("{error}")),
        };
        assert_eq!(refused, code, "{secret}");
    }
}

#[test]
fn a_stop_and_a_second_server_on_the_same_data_are_clean() {
    let home = Home::new();
    let mut first = server(&home, ANY_PORT, &[]);
    Peer::open(&first).ok("create_room", &["lobby".into()]);
    let data = home.0.join("data");
    let mut second = Process::start(SERVER, &["--listen", ANY_PORT, "--no-binder", "--data", data.to_str().unwrap()]);
    assert_eq!(second.wait_exit(TIMEOUT).code(), Some(1));
    let said = second.stderr.lines();
    assert!(said.len() == 1 && said[0].contains(&format!("process {} uses it", first.id())), "{said:?}");
    first.signal("TERM");
    assert!(first.wait_exit(TIMEOUT).success());
    let again = server(&home, ANY_PORT, &[]);
    assert_eq!(Peer::open(&again).ok("list_rooms", &[]), Value::Array(vec!["lobby".into()]));
}

/// Calls until there is a reply, through every end of the server; the call has a key or changes nothing.
fn insist(address: &str, method: &str, params: &[Value]) -> Result<Value, Fault> {
    let client = Client::new(address);
    loop {
        match client.call(method, params) {
            Ok(value) => return Ok(value),
            Err(CallError::Fault(fault)) => return Err(fault),
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// The contents of messages, to be kept.
fn said(messages: &Value) -> Vec<String> {
    contents(messages).into_iter().map(str::to_owned).collect()
}

/// The messages of the storm: who sends, to whom, and which.
fn text(from: usize, number: usize) -> String {
    format!("{from} {number}")
}

/// Kills at random moments under senders who repeat what was not confirmed and readers who follow. `KILL_ROUNDS` says how
/// many; the default takes some seconds.
#[test]
fn every_confirmed_message_is_there_once_through_kills_under_load() {
    const SENDERS: usize = 50;
    const READERS: usize = 50;
    let rounds = std::env::var("KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(8);
    let home = Home::new();
    let large = ["--history-messages", "--history-bytes", "--memory-limit"].map(|limit| [limit, "100000000"]);
    let options = [&["--registration-rate", "0", "--data-limit", "1000000000"], large.as_flattened()].concat();
    let start = |listen: &str| server(&home, listen, &options);
    let mut server = start(ANY_PORT);
    let address = server.address().to_owned();
    let stop = Arc::new(AtomicBool::new(false));
    let confirmed = Arc::new(Mutex::new(Vec::new()));
    insist(&address, "create_room", &["lobby".into()]).unwrap();
    for user in 0..SENDERS + READERS {
        let name: Value = format!("user{user}").into();
        insist(&address, "register_user", std::slice::from_ref(&name)).unwrap();
        insist(&address, "join_room", &[name, "lobby".into()]).unwrap();
    }
    let sent = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..SENDERS)
        .map(|from| {
            let (address, stop, confirmed) = (address.clone(), Arc::clone(&stop), Arc::clone(&confirmed));
            let sent = Arc::clone(&sent);
            thread::spawn(move || {
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    // Every fifth is for one reader alone.
                    let to = (number % 5 == 4).then(|| SENDERS + from % READERS);
                    let text = text(from, number);
                    let recipient = to.map_or_else(String::new, |to| format!("user{to}"));
                    let params: [Value; 5] = [
                        format!("user{from}").into(),
                        "lobby".into(),
                        text.clone().into(),
                        recipient.into(),
                        format!("key {number}").into(),
                    ];
                    insist(&address, "send_message", &params).unwrap();
                    sent.fetch_add(1, Ordering::Relaxed);
                    confirmed.lock().unwrap().push((text, to));
                }
            })
        })
        .collect();
    let readers: Vec<_> = (SENDERS..SENDERS + READERS)
        .map(|reader| {
            let (address, stop) = (address.clone(), Arc::clone(&stop));
            thread::spawn(move || {
                let (mut cursor, mut read) = (0, Vec::new());
                loop {
                    let is_last = stop.load(Ordering::Relaxed);
                    let seconds = if is_last { 0 } else { 1 };
                    let params = [format!("user{reader}").into(), "lobby".into(), cursor.into(), seconds.into()];
                    let page = insist(&address, "wait_messages", &params).unwrap();
                    assert_eq!(page.member("missed"), Some(&Value::Int(0)));
                    read.extend(said(page.member("messages").unwrap()));
                    cursor = page.member("last_id").unwrap().as_int().unwrap();
                    if is_last {
                        return (reader, read);
                    }
                }
            })
        })
        .collect();
    for round in 0..rounds {
        let before = sent.load(Ordering::Relaxed);
        eventually("senders get on", TIMEOUT, || sent.load(Ordering::Relaxed) > before + 20 + 37 * (round % 5));
        server.kill();
        server = start(&address);
    }
    stop.store(true, Ordering::Relaxed);
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let read: BTreeMap<_, _> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    let confirmed = confirmed.lock().unwrap();
    for (reader, read) in &read {
        let mut theirs: Vec<_> = confirmed.iter().filter(|(_, to)| to.is_none_or(|to| to == *reader)).collect();
        // Readers can have stopped before the last ones came.
        let missing: Vec<_> = theirs.iter().filter(|(text, _)| !read.contains(text)).collect();
        assert!(missing.len() <= SENDERS, "{reader} lacks {missing:?}");
        theirs.sort();
        theirs.dedup();
        let mut once = read.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), read.len(), "{reader} has read something twice");
        assert!(
            read.iter().all(|text| theirs.iter().any(|(theirs, _)| theirs == text)),
            "{reader} read what is not theirs"
        );
    }
    // What is kept has every number once, and every confirmed message.
    let all: Vec<_> = (0..SENDERS + READERS)
        .flat_map(|user| {
            let kept = insist(&address, "receive_messages", &[format!("user{user}").into(), "lobby".into()]).unwrap();
            let kept = kept.as_array().unwrap().to_vec();
            kept.into_iter().map(|message| {
                let id = message.member("id").and_then(Value::as_int).unwrap();
                (id, message.member("content").and_then(Value::as_str).unwrap().to_owned())
            })
        })
        .collect();
    let by_id: BTreeMap<_, _> = all.iter().cloned().collect();
    let (first, last) = (by_id.first_key_value().unwrap().0, by_id.last_key_value().unwrap().0);
    let count = i64::try_from(confirmed.len()).unwrap();
    assert_eq!((*first, *last, by_id.len()), (1, count, confirmed.len()), "no gap, nothing unconfirmed");
    let mut kept: Vec<_> = by_id.into_values().collect();
    let mut wanted: Vec<_> = confirmed.iter().map(|(text, _)| text.clone()).collect();
    kept.sort();
    wanted.sort();
    assert!(kept == wanted, "what is kept is what was confirmed");
}

/// A server whose data is on a small file system of its own, in a mount namespace.
struct OnSmallDisk {
    server: Process,
    data: String,
}

impl OnSmallDisk {
    /// `None`, with a line that says so, where the system lets nobody make a namespace.
    fn start(home: &Home, options: &str) -> Option<Self> {
        let data = home.0.join("small").to_str().unwrap().to_owned();
        fs::create_dir_all(&data).unwrap();
        if !Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|status| status.success()) {
            assert!(std::env::var_os("CI").is_none(), "unshare (util-linux) must work here");
            eprintln!("skipped: this system makes no mount namespaces");
            return None;
        }
        let script = format!(
            "mount -t tmpfs -o size=400k none '{data}' && exec '{}' --listen {ANY_PORT} --no-binder --message-rate 0 \
             --data '{data}/data' {options}",
            SERVER[0]
        );
        let server = Process::serve(&["unshare"], &["-rm", "sh", "-c", &script]);
        Some(Self { server, data })
    }

    /// Runs a script where the server sees its disk.
    fn there(&self, script: &str) {
        let id = self.server.id().to_string();
        let arguments = ["-t", &id, "-U", "-m", "--preserve-credentials", "sh", "-c", script];
        let status = Command::new("nsenter").args(arguments).status().unwrap();
        assert!(status.success(), "{script}: {status}");
    }
}

fn a_disk_that_takes_nothing(options: &str, break_it: &str, mend_it: &str) {
    let home = Home::new();
    let Some(small) = OnSmallDisk::start(&home, options) else { return };
    let peer = Peer::open(&small.server);
    peer.enter("lobby", &["ana"]);
    let say = |text: &str| peer.call("send_message", &["ana".into(), "lobby".into(), text.into()]);
    say("before").unwrap();
    let (broken, mended) = (break_it.replace("DATA", &small.data), mend_it.replace("DATA", &small.data));
    small.there(&broken);
    let mut accepted = vec!["before".to_owned()];
    let long = "x".repeat(4000);
    // There may be some room left.
    let fault = loop {
        let text = format!("{} {long}", accepted.len());
        match say(&text) {
            Ok(_) => accepted.push(text),
            Err(fault) => break fault,
        }
        assert!(accepted.len() < 200, "the disk is never full");
    };
    assert_eq!(fault.code, Fault::NOT_STORED, "{fault}");
    for _ in 0..3 {
        assert_eq!(say(&format!("never {long}")).unwrap_err().code, Fault::NOT_STORED);
    }
    // Reading goes on, and nothing half done can be read.
    let read = |peer: &Peer| said(&peer.ok("receive_messages", &["ana".into(), "lobby".into()]));
    assert_eq!(read(&peer), accepted);
    small.there(&mended);
    let started = Instant::now();
    eventually("it recovers by itself", TIMEOUT, || say("after").is_ok());
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    accepted.push("after".into());
    assert_eq!(read(&peer), accepted);
    assert_eq!(peer.ok("list_rooms", &[]), Value::Array(vec!["lobby".into()]));
    // All of it is in the log: a copy of the directory is that of another server.
    let copy = home.0.join("data");
    small.there(&format!("mkdir '{0}' && cat '{1}/data/log' > '{0}/log'", copy.display(), small.data));
    let other = server(&home, ANY_PORT, &[]);
    assert_eq!(read(&Peer::open(&other)), accepted);
    let said = small.server.stderr.lines();
    let warnings = said.iter().filter(|line| line.contains("cannot be stored")).count();
    assert_eq!(warnings, 1, "one line for all of it: {said:?}");
}

#[test]
fn a_full_disk_refuses_changes_and_nothing_else_until_there_is_room() {
    let fill = "dd if=/dev/zero of=DATA/fill bs=1k count=1000 2>/dev/null; true";
    a_disk_that_takes_nothing("", fill, "rm DATA/fill");
}

#[test]
fn a_full_disk_refuses_changes_where_each_is_flushed_too() {
    let fill = "dd if=/dev/zero of=DATA/fill bs=1k count=1000 2>/dev/null; true";
    a_disk_that_takes_nothing("--sync-interval 0", fill, "rm DATA/fill");
}

#[test]
fn the_files_stay_within_their_limit_and_what_is_new_is_kept() {
    let home = Home::new();
    let limit = 1 << 20;
    let start = || server(&home, ANY_PORT, &["--data-limit", &limit.to_string()]);
    let mut server = start();
    let peer = Peer::open(&server);
    peer.enter("lobby", &["ana"]);
    let long = "x".repeat(4000);
    let mut largest = 0;
    for number in 0..1500 {
        let params = ["ana".into(), "lobby".into(), format!("{number} {long}").into()];
        // More comes than a slow disk can make new files for: what is refused then is tried again.
        eventually("the disk keeps up", TIMEOUT, || match peer.call("send_message", &params) {
            Ok(_) => true,
            Err(fault) => {
                assert_eq!(fault.code, Fault::NOT_STORED, "{fault}");
                false
            }
        });
        let files = fs::read_dir(home.0.join("data")).unwrap();
        let size: u64 = files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len())).sum();
        largest = largest.max(size);
    }
    assert!(largest <= limit, "{largest}");
    let before = said(&peer.ok("receive_messages", &["ana".into(), "lobby".into()]));
    assert!(before.len() > 20 && before.last().unwrap().starts_with("1499 "), "{}", before.len());
    server.kill();
    let again = start();
    assert_eq!(said(&Peer::open(&again).ok("receive_messages", &["ana".into(), "lobby".into()])), before);
}

#[test]
fn options_that_contradict_each_other_are_refused_by_name() {
    let home = Home::new();
    let data = home.0.join("data");
    let data = data.to_str().unwrap();
    for (options, parts) in [
        (&["--data", data, "--max-message-bytes", "60000"][..], &["--max-message-bytes", "--data"][..]),
        (&["--sync-interval", "5"], &["--sync-interval", "--data"]),
        (&["--data", data, "--sync-interval", "100000"], &["--sync-interval"]),
        (&["--history-bytes", "4096"], &["--history-bytes", "--max-message-bytes"]),
        (&["--memory-limit", "4096"], &["--memory-limit", "--max-message-bytes"]),
        (&["--history-messages", "0"], &["--history-messages"]),
    ] {
        let mut refused = Process::start(SERVER, &[&["--listen", ANY_PORT, "--no-binder"], options].concat());
        assert_eq!(refused.wait_exit(TIMEOUT).code(), Some(2), "{options:?}");
        let said = refused.stderr.lines();
        assert!(said.len() == 1 && parts.iter().all(|part| said[0].contains(part)), "{said:?}");
    }
}
