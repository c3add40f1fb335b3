//! The programs that are measured: child processes, killed when dropped, and what the system says about them.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

use crate::Outcome;

/// How long a program may take to be ready, and the server to come to rest.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How the programs are started.
pub(crate) struct Programs {
    /// The server that is measured.
    pub(crate) server: PathBuf,
    descriptors: Rlimit,
}

impl Programs {
    /// Raises this process's limit on descriptors, which a thousand clients need; the programs keep the one that there was.
    pub(crate) fn new(server: PathBuf) -> Outcome<Self> {
        let descriptors = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: descriptors.maximum, ..descriptors })?;
        Ok(Self { server, descriptors })
    }

    /// Our server, without any limit that many clients on one address would meet.
    pub(crate) fn server(&self) -> Outcome<Program> {
        let mut command = Command::new(&self.server);
        command.args(["--no-binder", "--listen", "127.0.0.1:0", "--user-idle", "86400"]);
        command.args(["--message-rate", "0", "--registration-rate", "0", "--waits-per-address", "0"]);
        self.start(&mut command)
    }

    /// This program itself as a bare tiny_http, which answers `length` bytes.
    pub(crate) fn bare(&self, length: usize) -> Outcome<Program> {
        self.start(Command::new(std::env::current_exe()?).args([crate::BARE, &length.to_string()]))
    }

    /// Python's XML-RPC server with the procedures that are measured, if there is a Python.
    pub(crate) fn python(&self) -> Option<Program> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/load/xmlrpc_peer.py");
        self.start(Command::new("python3").arg(script)).ok()
    }

    /// mosquitto, if it is installed.
    pub(crate) fn mosquitto(&self) -> Option<Program> {
        // Where it listens it does not say, so a port is chosen for it that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).ok()?;
        let paths = ["mosquitto", "/usr/sbin/mosquitto"];
        let (child, started) = paths.iter().find_map(|path| {
            let mut command = Command::new(path);
            command.args(["-p", &address.port().to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
            Some((command.spawn().ok()?, Instant::now()))
        })?;
        let program = Program { child, address, ready: Duration::ZERO };
        while TcpStream::connect(address).is_err() {
            if started.elapsed() > PATIENCE {
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(program)
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

/// What a program uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Resident memory in bytes, now and at most.
    pub(crate) resident: u64,
    pub(crate) peak: u64,
    pub(crate) threads: u64,
    /// Processor time since its start.
    pub(crate) processor: Duration,
}

impl Program {
    pub(crate) fn usage(&self) -> Outcome<Usage> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| -> Outcome<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such field")?;
            Ok(line.trim().trim_end_matches(" kB").parse()?)
        };
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name, in parentheses, may contain anything; the times are the 12th and 13th field after it.
        let fields = stat.rsplit_once(')').ok_or("no name in stat")?.1.split_whitespace();
        let ticks = fields.skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        let resident = field("VmRSS:")? * 1024;
        Ok(Usage {
            resident,
            // The kernel updates it later than the resident memory.
            peak: (field("VmHWM:")? * 1024).max(resident),
            threads: field("Threads:")?,
            processor: Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()),
        })
    }

    /// Waits until the program starts and ends no threads any more.
    pub(crate) fn settle(&self) -> Outcome<Usage> {
        let (mut last, mut since) = (self.usage()?.threads, Instant::now());
        let started = Instant::now();
        // tiny_http's threads leave after 5 s without work.
        while since.elapsed() < Duration::from_secs(6) && started.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(100));
            let threads = self.usage()?.threads;
            if threads != last {
                (last, since) = (threads, Instant::now());
            }
        }
        self.usage()
    }
}
