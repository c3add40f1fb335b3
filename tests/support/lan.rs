//! A network of machines in this one: network namespaces that a bridge joins.

use std::ffi::OsStr;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sched::{CloneFlags, setns};

use super::home::Home;
use super::tools::left_out;
use super::{CommandLine, Process, TIMEOUT};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Machines with the addresses 10.77.0.1, 10.77.0.2 and so on, on one network without a way out.
pub struct Lan {
    name: String,
    machines: usize,
    homes: Home,
}

/// Runs `ip` with these words.
fn ip(line: &str) -> Result<(), String> {
    let output = Command::new("ip").args(line.split(' ')).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("ip: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}

impl Lan {
    /// Makes a network, or says on standard error that the test is left out because this process may not make one.
    #[track_caller]
    pub fn of(machines: usize) -> Option<Self> {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let lan = Self { name: format!("chat{}-{number}", std::process::id()), machines, homes: Home::new() };
        let bridge = lan.bridge();
        if let Err(error) = ip(&format!("netns add {bridge}")) {
            left_out(&format!("network namespaces, which root can make with iproute2 ({error})"));
            return None;
        }
        lan.wire().unwrap_or_else(|error| panic!("the namespaces are made, but not their network: {error}"));
        Some(lan)
    }

    fn wire(&self) -> Result<(), String> {
        let bridge = self.bridge();
        // As on a switch, multicast reaches every port.
        ip(&format!("-n {bridge} link add br0 type bridge mcast_snooping 0"))?;
        ip(&format!("-n {bridge} link set br0 up"))?;
        for machine in 1..=self.machines {
            let name = self.machine(machine);
            ip(&format!("netns add {name}"))?;
            ip(&format!("-n {name} link set lo up"))?;
            ip(&format!("-n {name} link add eth0 type veth peer name port{machine} netns {bridge}"))?;
            ip(&format!("-n {bridge} link set port{machine} master br0 up"))?;
            ip(&format!("-n {name} addr add {}/24 dev eth0", self.address(machine)))?;
            ip(&format!("-n {name} link set eth0 up"))?;
        }
        Ok(())
    }

    fn bridge(&self) -> String {
        format!("{}-br", self.name)
    }

    fn machine(&self, machine: usize) -> String {
        format!("{}-{machine}", self.name)
    }

    /// The address of a machine, which are counted from 1.
    pub fn address(&self, machine: usize) -> String {
        assert!((1..=self.machines).contains(&machine), "there are {} machines", self.machines);
        format!("10.77.0.{machine}")
    }

    /// Takes the addresses of all machines away, and gives them fd77::1, fd77::2 and so on.
    #[track_caller]
    pub fn only_ipv6(&self) {
        for machine in 1..=self.machines {
            self.ip(machine, &format!("addr del {}/24 dev eth0", self.address(machine)));
            self.ip(machine, &format!("addr add fd77::{machine}/64 dev eth0 nodad"));
        }
    }

    /// The directory for the files of the clients on a machine.
    pub fn home(&self, machine: usize) -> PathBuf {
        self.homes.0.join(machine.to_string())
    }

    /// Changes the network of a machine with `ip`.
    #[track_caller]
    pub fn ip(&self, machine: usize, line: &str) {
        ip(&format!("-n {} {line}", self.machine(machine))).unwrap_or_else(|error| panic!("ip {line}: {error}"));
    }

    /// Returns the words that run the words after them on a machine.
    pub fn shell(&self, machine: usize) -> [String; 4] {
        ["ip", "netns", "exec", &self.machine(machine)].map(ToOwned::to_owned)
    }

    /// Starts a program on a machine.
    #[track_caller]
    pub fn start(&self, machine: usize, line: CommandLine, arguments: &[impl AsRef<OsStr>]) -> Process {
        Process::start(&[&self.shell(machine).each_ref().map(String::as_str), line].concat(), arguments)
    }

    /// Cuts the wire between two machines, or mends it: while it is cut, what one sends the other arrives nowhere, and
    /// neither is told.
    #[track_caller]
    pub fn cut(&self, one: usize, other: usize, is_cut: bool) {
        for (from, to) in [(one, other), (other, one)] {
            let to = self.address(to);
            // An address of hardware that no machine has.
            let nobody = format!("neigh replace {to} lladdr 02:00:00:00:00:77 dev eth0 nud permanent");
            let line = if is_cut { nobody } else { format!("neigh del {to} dev eth0") };
            self.ip(from, &line);
        }
    }

    /// Starts a program that listens on a machine, and waits for its ready line.
    #[track_caller]
    pub fn serve(&self, machine: usize, line: CommandLine, arguments: &[impl AsRef<OsStr>]) -> Process {
        self.start(machine, line, arguments).ready()
    }

    /// Runs `work` on a machine, in a thread of this process.
    #[track_caller]
    pub fn within<T: Send>(&self, machine: usize, work: impl FnOnce() -> T + Send) -> T {
        let namespace =
            File::open(format!("/run/netns/{}", self.machine(machine))).expect("the namespace is named there");
        let enter = move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).expect("a namespace that was made can be entered");
            work()
        };
        std::thread::scope(|scope| scope.spawn(enter).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }

    /// Runs a Python script on a machine to its end, asserts that it succeeded, and returns its output.
    #[track_caller]
    pub fn python(&self, machine: usize, script: &str) -> String {
        let mut program = self.start(machine, &["python3", "-"], &[] as &[&str]);
        program.send_line(script);
        program.end_input();
        let status = program.wait_exit(TIMEOUT * 2);
        assert!(status.success(), "the Python script failed with {status}");
        program.stdout.lines().join("\n")
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for machine in 1..=self.machines {
            let _ = ip(&format!("netns del {}", self.machine(machine)));
        }
        let _ = ip(&format!("netns del {}", self.bridge()));
    }
}
