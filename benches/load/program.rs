//! The measured programs: child processes, killed when dropped, and the resources that they use.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::time::clock_getcpuclockid;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

use crate::Outcome;
use crate::peers::Kind;

/// The time that a program may take to be ready, and the server to become idle.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// The way in which the programs are started.
pub(crate) struct Programs {
    /// The server that is measured.
    pub(crate) server: PathBuf,
    /// Further options of the server.
    pub(crate) options: Vec<OsString>,
    descriptors: Rlimit,
}

impl Programs {
    /// Raises this process's limit on descriptors, which a thousand clients need; the programs keep the one that there was.
    pub(crate) fn new(server: PathBuf, options: Vec<OsString>) -> Outcome<Self> {
        let descriptors = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: descriptors.maximum, ..descriptors })?;
        Ok(Self { server, options, descriptors })
    }

    /// Starts our server, without any limit that many clients on one address would meet.
    pub(crate) fn server(&self) -> Outcome<Program> {
        self.server_with(&[])
    }

    /// Starts it with further options.
    pub(crate) fn server_with(&self, options: &[&str]) -> Outcome<Program> {
        let mut command = Command::new(&self.server);
        command.args(["--no-binder", "--listen", "127.0.0.1:0", "--user-idle", "86400"]);
        for limit in ["message-rate", "registration-rate", "room-rate", "waits-per-address", "streams-per-address"] {
            command.args([&format!("--{limit}"), "0"]);
        }
        command.args(options).args(&self.options);
        self.start(&mut command)
    }

    /// Starts this program itself as a bare tiny_http, which replies with `length` bytes.
    pub(crate) fn bare(&self, length: usize) -> Outcome<Program> {
        self.start(Command::new(std::env::current_exe()?).args([crate::BARE, &length.to_string()]))
    }

    /// Starts Python's XML-RPC server with the procedures that are measured, if there is a Python.
    pub(crate) fn python(&self) -> Option<Program> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/load/xmlrpc_peer.py");
        // It reports every client that leaves.
        self.start(Command::new("python3").arg(script).stderr(Stdio::null())).ok()
    }

    /// Starts the program of a kind of peers, with settings that let a thousand of them in. `None` if it is not installed.
    pub(crate) fn of(&self, kind: Kind) -> Outcome<Option<Program>> {
        match kind {
            Kind::Events | Kind::Waits => self.server().map(Some),
            Kind::Mosquitto => self.daemon("mosquitto", "-c", |port| {
                format!("listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
            }),
            Kind::Ngircd => self.daemon("ngircd", "-f", |port| {
                format!(
                    "[Global]\nName = irc.example.org\nInfo = bench\nListen = 127.0.0.1\nPorts = {port}\n\
                     [Limits]\nMaxConnections = 0\nMaxConnectionsIP = 0\nMaxJoins = 0\nMaxNickLength = 20\n\
                     MaxPenaltyTime = 0\nPingTimeout = 600\n\
                     [Options]\nDNS = no\nIdent = no\nPAM = no\nMorePrivacy = no\n[SSL]\nCAFile =\n"
                )
            }),
        }
    }

    /// Starts a program that says nothing when it is ready, so that a port is chosen for it that was free a moment ago.
    fn daemon(&self, name: &str, option: &str, settings: impl Fn(u16) -> String) -> Outcome<Option<Program>> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let file = std::env::temp_dir().join(format!("{name}-{}.conf", std::process::id()));
        std::fs::write(&file, settings(address.port()))?;
        let started = Instant::now();
        let child = [name.to_owned(), format!("/usr/sbin/{name}")].iter().find_map(|path| {
            let mut command = Command::new(path);
            command.arg(option).arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
            if name == "ngircd" {
                command.arg("-n");
            }
            command.spawn().ok()
        });
        let Some(child) = child else { return Ok(None) };
        let program = Program { child, address, ready: Duration::ZERO };
        while TcpStream::connect(address).is_err() {
            if started.elapsed() > TIMEOUT {
                return Err(format!("{name} does not listen").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = std::fs::remove_file(file);
        Ok(Some(program))
    }

    /// Starts a program that prints `… listening on HOST:PORT` when it is ready.
    fn start(&self, command: &mut Command) -> Outcome<Program> {
        let started = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take();
        let mut program = Program { child, address: SocketAddr::from(([0; 4], 0)), ready: Duration::ZERO };
        prlimit(Some(Pid::from_child(&program.child)), Resource::Nofile, self.descriptors)?;
        let mut line = String::new();
        out.map(|out| BufReader::new(out).read_line(&mut line)).transpose()?;
        program.ready = started.elapsed();
        let (_, address) = line.split_once(" listening on ").ok_or_else(|| format!("{command:?} is not ready"))?;
        program.address = address.trim().parse()?;
        Ok(program)
    }
}

/// A running program.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From its start to its ready line.
    pub(crate) ready: Duration,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The resources that a program uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Resident memory in bytes.
    pub(crate) resident: u64,
    pub(crate) threads: u64,
    /// Processor time since its start.
    pub(crate) processor: Duration,
}

impl Program {
    /// Returns its processor time since its start, to the nanosecond.
    pub(crate) fn processor(&self) -> Outcome<Duration> {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.child.id())?);
        Ok(clock_getcpuclockid(id)?.now()?.into())
    }

    /// Returns how often its threads have gone to sleep, and so have woken up.
    pub(crate) fn sleeps(&self) -> Outcome<u64> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id()))?;
        let status = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("status")).ok());
        let sleeps = |status: String| {
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
            line.trim().parse::<u64>().ok()
        };
        Ok(status.filter_map(sleeps).sum())
    }

    /// Returns how many of its connections have as much to send as the system keeps for them, because the peer does not read.
    pub(crate) fn blocked(&self) -> Outcome<usize> {
        const MUCH: usize = 16 << 10;
        let port = format!(":{:04X}", self.address.port());
        let connections = std::fs::read_to_string("/proc/net/tcp")?;
        let unsent = connections.lines().filter_map(|line| {
            let mut fields = line.split_whitespace();
            let local = fields.nth(1)?;
            let (unsent, _) = fields.nth(2)?.split_once(':')?;
            local.ends_with(&port).then(|| usize::from_str_radix(unsent, 16).ok()).flatten()
        });
        Ok(unsent.filter(|unsent| *unsent >= MUCH).count())
    }

    pub(crate) fn usage(&self) -> Outcome<Usage> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| -> Outcome<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such field")?;
            Ok(line.trim().trim_end_matches(" kB").parse()?)
        };
        Ok(Usage { resident: field("VmRSS:")? * 1024, threads: field("Threads:")?, processor: self.processor()? })
    }

    /// Waits until the program starts and ends no threads any more.
    pub(crate) fn settle(&self) -> Outcome<Usage> {
        let (mut last, mut since) = (self.usage()?.threads, Instant::now());
        let started = Instant::now();
        // tiny_http's threads leave after 5 s without work.
        while since.elapsed() < Duration::from_secs(6) && started.elapsed() < TIMEOUT {
            std::thread::sleep(Duration::from_millis(100));
            let threads = self.usage()?.threads;
            if threads != last {
                (last, since) = (threads, Instant::now());
            }
        }
        self.usage()
    }
}
