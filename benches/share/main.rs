//! The cost and the use of several servers for one chat: `cargo bench --features share --bench share`. Needs a Valkey or Redis.
//!
//! Latency: from the call that sends a message until the reply of the call that waited for it, at one server, between two
//! servers, and beside it a bare pair of XADD and XREAD. Receivers: processor time of the busiest server for each delivery,
//! which is what bounds them, with streams of events spread over one, two and three servers on this machine.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chat_rpc::rpc::{Client, Value};
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Messages whose latency is measured.
const MESSAGES: usize = 400;
/// Between two of them: more than the gap between two deliveries in a room.
const PAUSE: Duration = Duration::from_millis(20);
/// Streams of events, over all servers.
const RECEIVERS: usize = 600;
/// Messages that they get.
const BROADCASTS: usize = 300;

/// A process that ends with this.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Engine {
    _process: Process,
    directory: PathBuf,
    port: u16,
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Engine {
    fn start() -> Outcome<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let directory = std::env::temp_dir().join(format!("chat-share-bench-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let started = ["valkey-server", "redis-server"].iter().find_map(|program| {
            let mut command = Command::new(program);
            command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]);
            command.arg("--dir").arg(&directory).stdout(Stdio::null()).spawn().ok()
        });
        let process = Process(started.ok_or("neither valkey-server nor redis-server is installed")?);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { _process: process, directory, port })
    }
}

struct Server {
    process: Process,
    address: String,
}

impl Server {
    fn start(engine: &Engine, chat: &str) -> Outcome<Self> {
        let url = format!("redis://127.0.0.1:{}/{chat}", engine.port);
        let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
        command.args(["--no-binder", "--listen", "127.0.0.1:0", "--share", &url, "--max-connections", "4000"]);
        for limit in ["message-rate", "registration-rate", "room-rate", "waits-per-address", "streams-per-address"] {
            command.args([&format!("--{limit}"), "0"]);
        }
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().ok_or("no output")?;
        let process = Process(child);
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let (_, address) = line.trim().split_once(" listening on ").ok_or("the server is not ready")?;
        Ok(Self { process, address: address.to_owned() })
    }

    fn client(&self) -> Client {
        Client::new(&self.address).with_timeout(Duration::from_secs(70))
    }

    /// The processor time that it has used.
    fn processor_time(&self) -> Outcome<Duration> {
        let pid = Pid::from_raw(self.process.0.id().cast_signed());
        let time = clock_getcpuclockid(pid)?.now()?;
        Ok(Duration::from(time))
    }

    fn enter(&self, name: &str) -> Outcome<()> {
        let client = self.client();
        let _ = client.call("create_room", &["lobby".into()]);
        client.call("register_user", &[name.into()])?;
        client.call("join_room", &[name.into(), "lobby".into()])?;
        Ok(())
    }
}

fn row(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)].as_secs_f64() * 1e3;
    println!("| {what:<62} | {:>8.2} | {:>8.2} |", at(50), at(99));
}

/// A record appended on one connection and read on another that waited for it.
fn bare(engine: &Engine) -> Outcome<Vec<Duration>> {
    let open = || redis::Client::open(format!("redis://127.0.0.1:{}/", engine.port))?.get_connection();
    let (mut writer, mut reader) = (open()?, open()?);
    let (arrived, arrivals) = crossbeam_channel::unbounded();
    let follower = thread::spawn(move || -> Outcome<()> {
        let mut cursor = "0-0".to_owned();
        for _ in 0..MESSAGES {
            let reply: Vec<(String, Vec<(String, redis::Value)>)> =
                redis::cmd("XREAD").arg(&["BLOCK", "0", "STREAMS", "bare", &cursor]).query(&mut reader)?;
            arrived.send(Instant::now())?;
            cursor = reply.into_iter().flat_map(|(_, records)| records).map(|(id, _)| id).last().unwrap_or(cursor);
        }
        Ok(())
    });
    let mut times = Vec::new();
    for _ in 0..MESSAGES {
        thread::sleep(PAUSE / 4);
        let start = Instant::now();
        let _: String = redis::cmd("XADD").arg(&["bare", "*", "entries", "x"]).query(&mut writer)?;
        times.push(arrivals.recv()?.saturating_duration_since(start));
    }
    follower.join().map_err(|_| "the reader panicked")??;
    Ok(times)
}

/// Messages sent at one server, and waited for at another.
fn between(from: &Server, to: &Server, sender: &str, receiver: &str) -> Outcome<Vec<Duration>> {
    let (arrived, arrivals) = crossbeam_channel::unbounded();
    let (waiting, reader) = (to.client(), receiver.to_owned());
    let joined = waiting.call("join_room", &[receiver.into(), "lobby".into()])?;
    let mut cursor = joined.member("last_id").cloned().ok_or("no last_id")?;
    let waiter = thread::spawn(move || -> Outcome<()> {
        for _ in 0..MESSAGES {
            let params: [Value; 4] = [reader.as_str().into(), "lobby".into(), cursor.clone(), 60.into()];
            let page = waiting.call("wait_messages", &params)?;
            arrived.send(Instant::now())?;
            cursor = page.member("last_id").cloned().ok_or("no last_id")?;
        }
        Ok(())
    });
    let client = from.client();
    let mut times = Vec::new();
    for _ in 0..MESSAGES {
        thread::sleep(PAUSE);
        let start = Instant::now();
        client.call("send_message", &[sender.into(), "lobby".into(), "hello".into()])?;
        times.push(arrivals.recv()?.saturating_duration_since(start));
    }
    waiter.join().map_err(|_| "the waiter panicked")??;
    Ok(times)
}

/// Processor time of the busiest server and of all, for each delivery to a stream of events.
fn deliveries(engine: &Engine, count: usize) -> Outcome<(Duration, Duration)> {
    let servers = (0..count).map(|_| Server::start(engine, &format!("spread{count}"))).collect::<Outcome<Vec<_>>>()?;
    servers[0].enter("sender")?;
    let got = Arc::new(AtomicUsize::new(0));
    for number in 0..RECEIVERS {
        let (server, name) = (&servers[number % count], format!("reader{number}"));
        server.enter(&name)?;
        let mut stream = TcpStream::connect(&server.address)?;
        write!(stream, "GET /events?username={name}&room=lobby HTTP/1.1\r\nHost: {}\r\n\r\n", server.address)?;
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        // The first event says that the stream is open.
        while !line.starts_with("event: room") {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                return Err("a stream was refused".into());
            }
        }
        let got = Arc::clone(&got);
        thread::Builder::new().stack_size(64 << 10).spawn(move || {
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|length| length > 0) {
                if line.starts_with("event: message") {
                    got.fetch_add(1, Ordering::Relaxed);
                }
                line.clear();
            }
        })?;
    }
    let before = servers.iter().map(Server::processor_time).collect::<Outcome<Vec<_>>>()?;
    let client = servers[0].client();
    for number in 0..BROADCASTS {
        client.call("send_message", &["sender".into(), "lobby".into(), "hello".into()])?;
        // The readers are threads of this machine too, and must not be the bound.
        while got.load(Ordering::Relaxed) < (number + 1) * RECEIVERS {
            thread::sleep(Duration::from_millis(1));
        }
    }
    let after = servers.iter().map(Server::processor_time).collect::<Outcome<Vec<_>>>()?;
    let used: Vec<_> = after.iter().zip(&before).map(|(after, before)| after.saturating_sub(*before)).collect();
    let total = u32::try_from(BROADCASTS * RECEIVERS)?;
    Ok((used.iter().max().copied().unwrap_or_default() / total, used.iter().sum::<Duration>() / total))
}

fn main() -> Outcome<()> {
    let engine = Engine::start()?;
    println!("| latency of a message, in milliseconds | p50 | p99 |\n| --- | --: | --: |");
    row("XADD to XREAD, bare", bare(&engine)?);
    let (one, two) = (Server::start(&engine, "latency")?, Server::start(&engine, "latency")?);
    one.enter("sender")?;
    one.enter("near")?;
    two.enter("far")?;
    row("send_message to the reply of wait_messages, the same server", between(&one, &one, "sender", "near")?);
    row("send_message to the reply of wait_messages, another server", between(&one, &two, "sender", "far")?);
    drop((one, two));
    println!("\n| servers | µs of the busiest one a delivery | deliveries a second that it bounds | µs of all |");
    println!("| --: | --: | --: | --: |");
    for count in 1..=3 {
        let (busiest, all) = deliveries(&engine, count)?;
        let (micros, bound) = (busiest.as_secs_f64() * 1e6, 1.0 / busiest.as_secs_f64());
        println!("| {count} | {micros:.2} | {bound:.0} | {:.2} |", all.as_secs_f64() * 1e6);
    }
    Ok(())
}
