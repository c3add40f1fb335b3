//! A Valkey or Redis of the test's own, and a wire to it that can be cut.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::home::Home;
use super::lan::Lan;
use super::tools::installed;
use super::{ANY_PORT, TIMEOUT, eventually};

/// The environment variable that names the program, where it is not the first one that is installed.
const PROGRAM_VARIABLE: &str = "CHAT_TEST_ENGINE";

/// A running engine that appends to a file, as a service would.
pub struct Engine {
    /// The words that start it, but for its options.
    command: Vec<String>,
    home: Home,
    child: Option<Child>,
    options: Vec<String>,
    host: String,
    pub port: u16,
}

impl Engine {
    /// Starts one on a free port, or says on standard error that the test is left out because none is installed.
    #[track_caller]
    pub fn start(options: &[&str]) -> Option<Self> {
        let port = TcpListener::bind(ANY_PORT).unwrap().local_addr().unwrap().port();
        Self::start_by(&[], ("127.0.0.1".into(), port), options)
    }

    /// Starts one on a machine of a network. It is to be used from a machine of the same network.
    #[track_caller]
    pub fn start_on(lan: &Lan, machine: usize, options: &[&str]) -> Option<Self> {
        Self::start_by(&lan.shell(machine), (lan.address(machine), 6379), options)
    }

    #[track_caller]
    fn start_by(by: &[String], (host, port): (String, u16), options: &[&str]) -> Option<Self> {
        let wanted = std::env::var(PROGRAM_VARIABLE).ok();
        let programs = wanted.as_deref().map_or(vec!["valkey-server", "redis-server"], |program| vec![program]);
        let program = installed(&programs)?.to_owned();
        let command = by.iter().cloned().chain([program]).collect();
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut engine = Self { command, home: Home::new(), child: None, options, host, port };
        engine.restart();
        Some(engine)
    }

    /// Returns its address: `HOST:PORT`.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Starts it again with what it has on the disk.
    #[track_caller]
    pub fn restart(&mut self) {
        assert!(self.child.is_none());
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).args(["--port", &self.port.to_string(), "--bind", &self.host]);
        command.args(["--save", "", "--appendonly", "yes", "--protected-mode", "no"]);
        command.arg("--dir").arg(&self.home.0).args(&self.options).stdout(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        eventually("the engine answers", TIMEOUT, || {
            TcpStream::connect(self.address()).is_ok_and(|mut stream| {
                let mut reply = [0; 5];
                stream.write_all(b"PING\r\n").is_ok()
                    && stream.read_exact(&mut reply).is_ok()
                    && (reply.starts_with(b"+PONG") || reply.starts_with(b"-NOAU"))
            })
        });
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends it the signal `name`, such as `STOP`.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.child.as_ref().unwrap().id());
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    }

    /// The file that it appends to.
    pub fn cut_tail(&self, bytes: u64) {
        let directory = self.home.0.join("appendonlydir");
        let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
        let tail = files.filter(|path| path.to_string_lossy().contains(".incr.")).max().unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(tail).unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(bytes)).unwrap();
    }

    /// Runs a command. Returns its reply: a number, a text, or one line for each element.
    #[track_caller]
    pub fn call(&self, words: &[&str]) -> String {
        self.calls(&[words]).pop().unwrap()
    }

    /// Runs a command as its default user with this password.
    #[track_caller]
    pub fn call_as(&self, password: &str, words: &[&str]) {
        assert_eq!(self.calls(&[&["AUTH", password], words]), ["OK", "OK"]);
    }

    fn calls(&self, commands: &[&[&str]]) -> Vec<String> {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        for words in commands {
            let mut command = format!("*{}\r\n", words.len());
            for word in *words {
                command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
            }
            stream.write_all(command.as_bytes()).unwrap();
        }
        let mut stream = BufReader::new(stream);
        commands.iter().map(|_| read(&mut stream)).collect()
    }
}

fn read(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let (kind, rest) = line.trim_end().split_at(1);
    match kind {
        "$" if rest != "-1" => {
            let mut bytes = vec![0; rest.parse::<usize>().unwrap() + 2];
            stream.read_exact(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes[..bytes.len() - 2]).into_owned()
        }
        "*" => (0..rest.parse().unwrap_or(0)).map(|_| read(stream) + "\n").collect(),
        _ => rest.to_owned(),
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A wire to a port of this machine. While it is cut, nothing passes and nothing is refused; then what was held passes.
pub struct Wire {
    pub port: u16,
    is_cut: Arc<AtomicBool>,
}

impl Wire {
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind(ANY_PORT).unwrap();
        let wire = Self { port: listener.local_addr().unwrap().port(), is_cut: Arc::default() };
        let is_cut = Arc::clone(&wire.is_cut);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                for (from, to) in [(near.try_clone(), far.try_clone()), (Ok(far), Ok(near))] {
                    let is_cut = Arc::clone(&is_cut);
                    thread::spawn(move || pass(from?, to?, &is_cut));
                }
            }
        });
        wire
    }

    pub fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, is_cut: &AtomicBool) -> std::io::Result<()> {
    let _ = to.set_nodelay(true);
    let mut buffer = [0; 16 << 10];
    loop {
        let length = from.read(&mut buffer)?;
        while is_cut.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
        if length == 0 {
            return to.shutdown(std::net::Shutdown::Both);
        }
        to.write_all(&buffer[..length])?;
    }
}
