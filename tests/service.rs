//! Binder and server under a service manager: it is told when they are ready and when they stop, and passes them the socket
//! that it listens on. The test is the service manager.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

mod support;

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Stdio;
use std::time::{Duration, Instant};

use chat_rpc::rpc::Value;
use support::http::{Connection, last_call};
use support::peer::Peer;
use support::procfs::{mappings, threads};
use support::{ANY_PORT, BINDER, CommandLine, Process, SERVER, TIMEOUT, eventually};

/// The socket by which a service manager hears from its services.
struct Ear {
    socket: UnixDatagram,
    /// The value for `$NOTIFY_SOCKET`.
    variable: String,
}

impl Ear {
    fn abstract_name(name: &str) -> Self {
        let name = format!("chat-rpc-test/{}/{name}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Self { socket, variable: format!("NOTIFY_SOCKET=@{name}") }
    }

    fn path(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("chat-rpc-test-{}-{name}", std::process::id()));
        let socket = UnixDatagram::bind(&path).unwrap();
        Self { socket, variable: format!("NOTIFY_SOCKET={}", path.display()) }
    }

    /// The next thing that it hears.
    fn next(&self) -> String {
        self.socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        let mut buffer = [0; 256];
        let length = self.socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// Returns whether there is nothing to hear.
    fn is_silent(&self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        let silent = self.socket.recv(&mut [0; 256]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        self.socket.set_nonblocking(false).unwrap();
        silent
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        if let Some(path) = self.variable.strip_prefix("NOTIFY_SOCKET=/") {
            let _ = std::fs::remove_file(format!("/{path}"));
        }
    }
}

/// Makes its standard input descriptor 3, as a service manager passes sockets, and becomes the program. What stands for
/// `MEANT` is the id that the socket is meant for.
const ACTIVATE: &str = "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=MEANT exec \"$@\"";

/// Starts a program with `socket` passed to it, without waiting for it.
fn activate(socket: &TcpListener, pid: &str, line: CommandLine, arguments: &[&str]) -> Process {
    let socket = Stdio::from(OwnedFd::from(socket.try_clone().unwrap()));
    let script = ACTIVATE.replace("MEANT", pid);
    Process::start_with(socket, &["sh", "-c", &script, "sh"], &[line, arguments].concat())
}

/// A socket that nobody serves yet, and its address.
fn socket() -> (TcpListener, String) {
    let socket = TcpListener::bind(ANY_PORT).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

fn introspect(address: &str) -> Connection {
    let mut connection = Connection::open(address);
    connection.send(&last_call("system.listMethods", &[]));
    connection
}

#[track_caller]
fn stop(program: &mut Process) {
    program.signal("TERM");
    assert!(program.wait_exit(TIMEOUT).success());
}

#[test]
fn a_service_manager_is_told_of_readiness_and_of_the_stop() {
    for (line, options, ear) in
        [(BINDER, &[][..], Ear::path("binder")), (SERVER, &["--no-binder"], Ear::abstract_name("server"))]
    {
        let (free, address) = socket();
        drop(free);
        let mut program =
            Process::start(&["env", &ear.variable, line[0]], &[&["--listen", &address], options].concat());
        assert_eq!(ear.next(), "READY=1");
        introspect(&address).answer().unwrap().value().unwrap();
        assert!(ear.is_silent());
        stop(&mut program);
        assert_eq!(ear.next(), "STOPPING=1");
        assert!(ear.is_silent());
    }
}

/// A server that the shell starts, after `before`.
fn started(ear: &Ear, before: &str) -> Process {
    let script = format!("{before} exec \"$0\" --no-binder --listen {ANY_PORT}");
    let server = Process::serve(&["env", &ear.variable, "sh", "-c", &script, SERVER[0]], &[""; 0]);
    assert_eq!(ear.next(), "READY=1");
    server
}

#[test]
fn a_closed_terminal_stops_a_program() {
    let ear = Ear::abstract_name("closed");
    let mut server = started(&ear, "");
    server.signal("HUP");
    assert_eq!(ear.next(), "STOPPING=1");
    assert!(server.wait_exit(TIMEOUT).success());
}

#[test]
fn a_program_that_ignores_a_closed_terminal_goes_on() {
    let ear = Ear::abstract_name("ignored");
    let mut server = started(&ear, "trap '' HUP;");
    server.signal("HUP");
    Peer::open(&server).ok("list_rooms", &[]);
    assert!(ear.is_silent());
    stop(&mut server);
    assert_eq!(ear.next(), "STOPPING=1");
}

#[test]
fn a_program_that_does_not_get_ready_does_not_say_so() {
    let (_taken, address) = socket();
    let ear = Ear::abstract_name("taken");
    let mut program = Process::start(&["env", &ear.variable, BINDER[0]], &["--listen", &address]);
    assert_eq!(program.wait_exit(TIMEOUT).code(), Some(1));
    assert!(ear.is_silent());
}

#[test]
fn a_program_serves_where_nobody_listens_to_it() {
    for name in ["", "/nonexistent/socket", "@nobody-is-here", "relative", &format!("/{}", "x".repeat(200))] {
        let mut program =
            Process::start(&["env", &format!("NOTIFY_SOCKET={name}"), BINDER[0]], &["--listen", ANY_PORT]).ready();
        introspect(program.address()).answer().unwrap().value().unwrap();
        stop(&mut program);
        assert!(program.stderr.lines().is_empty(), "{name:?}");
    }
}

#[test]
fn the_socket_that_is_passed_comes_before_listen_and_outlives_the_program() {
    for (line, options) in [(BINDER, &[][..]), (SERVER, &["--no-binder"])] {
        let (socket, address) = socket();
        let options = [&["--listen", "no-such-host.invalid:1"], options].concat();
        // Made before anybody is there who could answer, and it lacks the time-outs that come with the program.
        let mut early = introspect(&address);
        for round in 0..3 {
            let mut program = activate(&socket, "$$", line, &options).ready();
            assert_eq!(program.address(), address, "the ready line");
            early.answer().unwrap().value().unwrap();
            introspect(&address).answer().unwrap().value().unwrap();
            let started = Instant::now();
            stop(&mut program);
            assert!(started.elapsed() < Duration::from_secs(1), "round {round}: {:?}", started.elapsed());
            // What the program has left in the queue would start it again.
            socket.set_nonblocking(true).unwrap();
            assert_eq!(socket.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "round {round}");
            early = introspect(&address);
        }
    }
}

#[test]
fn calls_go_on_while_an_activated_program_is_replaced() {
    let (socket, address) = socket();
    let mut program = activate(&socket, "$$", BINDER, &[]).ready();
    let mut kept = Connection::open(&address);
    kept.call("list_procedures", &[]).unwrap();
    for _ in 0..5 {
        let calls: Vec<_> = (0..50)
            .map(|_| {
                let address = address.clone();
                std::thread::spawn(move || introspect(&address).answer())
            })
            .collect();
        stop(&mut program);
        program = activate(&socket, "$$", BINDER, &[]).ready();
        for call in calls {
            // One that was accepted and not yet read when the program ended is cut before its answer began, as ever.
            if let Ok(answer) = call.join().unwrap() {
                answer.value().unwrap();
            }
        }
        introspect(&address).answer().unwrap().value().unwrap();
    }
    assert!(kept.is_closed_within(TIMEOUT), "a connection ends with the program that accepted it");
}

#[test]
fn a_killed_program_leaves_the_socket_to_the_next() {
    let (socket, address) = socket();
    let mut program = activate(&socket, "$$", SERVER, &["--no-binder"]).ready();
    introspect(&address).answer().unwrap().value().unwrap();
    program.kill();
    let mut early = introspect(&address);
    let _program = activate(&socket, "$$", SERVER, &["--no-binder"]).ready();
    early.answer().unwrap().value().unwrap();
}

#[test]
fn a_passed_socket_has_the_time_outs_of_an_own_one() {
    let (socket, address) = socket();
    let _program = activate(&socket, "$$", SERVER, &["--no-binder", "--connection-idle", "4"]).ready();
    let mut silent = Connection::open(&address);
    let started = Instant::now();
    assert!(silent.is_closed_within(TIMEOUT));
    assert!(started.elapsed() >= Duration::from_secs(3), "{:?}", started.elapsed());
    // The accept loop has outlived the time-out too.
    introspect(&address).answer().unwrap().value().unwrap();
}

#[test]
fn a_watchdog_is_fed_while_the_program_serves() {
    let ear = Ear::abstract_name("watchdog");
    let start = |id: &str| {
        let id = format!("WATCHDOG_PID={id}");
        let line = ["env", &ear.variable, "WATCHDOG_USEC=200000", &id, BINDER[0]];
        Process::serve(&line, &["--listen", ANY_PORT])
    };
    let other = start("1");
    assert_eq!(ear.next(), "READY=1");
    drop(other);
    let line = format!("WATCHDOG_USEC=200000 WATCHDOG_PID=$$ exec env {} \"$@\"", ear.variable);
    let program = Process::serve(&["sh", "-c", &line, "sh", BINDER[0]], &["--listen", "0.0.0.0:0"]);
    for said in ["READY=1", "WATCHDOG=1", "WATCHDOG=1"] {
        assert_eq!(ear.next(), said);
    }
    // And not by itself.
    program.signal("STOP");
    while !ear.is_silent() {
        ear.next();
    }
    program.signal("CONT");
    assert_eq!(ear.next(), "WATCHDOG=1");
}

#[test]
fn a_socket_for_another_process_is_not_taken() {
    let (socket, address) = socket();
    let program = activate(&socket, "1", BINDER, &["--listen", ANY_PORT]).ready();
    assert_ne!(program.address(), address);
    introspect(program.address()).answer().unwrap().value().unwrap();
    let unset = Process::start(&["env", "LISTEN_FDS=1", BINDER[0]], &["--listen", ANY_PORT]).ready();
    introspect(unset.address()).answer().unwrap().value().unwrap();
}

#[test]
fn what_is_passed_and_cannot_be_served_ends_the_start() {
    let (socket, address) = socket();
    let peer = TcpStream::connect(&address).unwrap();
    let connection: OwnedFd = socket.accept().unwrap().0.into();
    let datagram: OwnedFd = UnixDatagram::unbound().unwrap().into();
    let file: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
    for passed in [connection, datagram, file] {
        let script = ACTIVATE.replace("MEANT", "$$");
        let mut program = Process::start_with(Stdio::from(passed), &["sh", "-c", &script, "sh"], BINDER);
        eventually("it ends", TIMEOUT, || program.stderr.lines().len() == 1);
        assert_eq!(program.wait_exit(TIMEOUT).code(), Some(1));
    }
    drop(peer);
}

#[test]
fn every_thread_has_the_stack_that_is_asked_for() {
    let (socket, address) = socket();
    for kib in [128, 1024] {
        let ear = Ear::abstract_name(&format!("stack-{kib}"));
        let options = ["--no-binder", "--thread-stack-kib", &kib.to_string()];
        let program = activate(&socket, "$$", &["env", &ear.variable, SERVER[0]], &options).ready();
        assert_eq!(
            (program.address(), ear.next()),
            (&*address, "READY=1".to_owned()),
            "the new self is told all of it"
        );
        let name = std::fs::read_to_string(format!("/proc/{}/comm", program.id())).unwrap();
        assert_eq!(name, "server\n");
        let mut connection = Connection::open(&address);
        connection.call("list_rooms", &[]).unwrap();
        // Those of the HTTP library and our own, all but the first.
        assert_eq!(mappings(program.id(), kib << 10), threads(program.id()) - 1, "stacks of {kib} KiB");
        let nested = (0..20).fold(Value::Nil, |inner, _| Value::Array(vec![inner]));
        connection.call("system.methodHelp", &[nested]).unwrap_err();
        connection.call("list_rooms", &[]).unwrap();
    }
}

#[test]
fn a_stack_out_of_range_is_refused() {
    for kib in ["63", "8193", "much"] {
        let mut program = Process::start(SERVER, &["--thread-stack-kib", kib]);
        assert_eq!(program.wait_exit(TIMEOUT).code(), Some(2));
        program.stderr.wait_for_line("--thread-stack-kib", TIMEOUT);
    }
}
