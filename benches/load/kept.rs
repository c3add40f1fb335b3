//! The cost of `--data`: calls beside those of a server without it, the start, and the bytes that reach the device.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::http::{Connection, hammer, request};
use crate::program::{Program, Programs};
use crate::rows::{CALLS, ROUND, ROUNDS, Rounds, fill, median, messages};
use crate::{Line, Outcome};

/// Messages in the log that a start reads.
const MESSAGES: usize = 100_000;
/// The time for which messages are sent at [`RATE`] while the device is watched, and for which none is.
const WATCHED: Duration = Duration::from_secs(20);
/// The time for which the file system keeps the times of a file before it writes them.
const SETTLED: Duration = Duration::from_secs(45);
/// Messages a second.
const RATE: u32 = 20;
/// Bytes of their texts.
const LENGTH: usize = 100;
/// Bytes of a sector in the system's counts, whatever the device has.
const SECTOR: u64 = 512;

/// A directory that is gone at the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Outcome<Self> {
        // Not in memory, as /tmp may be.
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn with_data(programs: &Programs, directory: &Path, options: &[&str]) -> Outcome<Program> {
    let data = directory.to_str().ok_or("a path that is not UTF-8")?;
    programs.server_with(&[&["--data", data], options].concat())
}

/// Measures `send_message` on kept connections with `--data` and without, in turn.
pub(crate) fn calls(programs: &Programs) -> Outcome<Vec<Line>> {
    let directory = Directory::new("calls")?;
    let requests = messages(CALLS, 1, true);
    let (kept, volatile) = (with_data(programs, &directory.0, &[])?, programs.server()?);
    fill(&kept, CALLS, 1)?;
    fill(&volatile, CALLS, 1)?;
    let (mut with, mut without) = (Rounds::default(), Rounds::default());
    for _ in 0..ROUNDS {
        with.add(&kept, &requests, true)?;
        without.add(&volatile, &requests, true)?;
    }
    let ratio = with.ratio(&without);
    let work = format!("`send_message` with `--data` to without, {CALLS} connections");
    Ok(vec![Line::new(&work, format!("{ratio:.2}"), "≥ 0.8".into(), ratio >= 0.8).beside(with.beside())])
}

/// Measures the start of a server with a long history.
pub(crate) fn start(programs: &Programs) -> Outcome<Vec<Line>> {
    let directory = Directory::new("start")?;
    // The limits admit all of it, so that nothing is dropped.
    let options = ["--history-messages", "1000000", "--history-bytes", "1000000000", "--memory-limit", "1000000000"];
    let options = [&options[..], &["--data-limit", "10000000000"]].concat();
    let text = "x".repeat(LENGTH);
    {
        let server = with_data(programs, &directory.0, &options)?;
        fill(&server, CALLS, 1)?;
        let send: Vec<_> =
            (0..CALLS).map(|user| request("send_message", &[&format!("user-{user}"), "room-0", &text], true)).collect();
        while Connection::open(server.address)?.metric("chat_messages_total")? < MESSAGES as u64 {
            hammer(server.address, &send, CALLS, true, ROUND)?;
        }
    }
    let mut times = Vec::new();
    let mut count = 0;
    for _ in 0..ROUNDS {
        let server = with_data(programs, &directory.0, &options)?;
        count = Connection::open(server.address)?.metric("chat_messages_total")?;
        times.push(server.ready.as_secs_f64() * MESSAGES as f64 / count as f64);
    }
    let time = median(times);
    let work = format!("start with {MESSAGES} messages of {LENGTH} bytes");
    let beside = format!("from a start with {count}");
    Ok(vec![Line::new(&work, format!("{:.2} s", time), "≤ 0.5 s".into(), time <= 0.5).beside(beside)])
}

/// An ext4 file system on a device of its own, whose writes can be counted.
struct Device {
    image: Directory,
    name: String,
}

impl Device {
    /// Makes the file system, which takes the right to mount one.
    fn new() -> Outcome<Self> {
        let image = Directory::new("device")?;
        let file = image.0.join("image");
        std::fs::File::create(&file)?.set_len(256 << 20)?;
        let file = file.to_str().ok_or("a path that is not UTF-8")?.to_owned();
        run("mkfs.ext4", &["-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", &file])?;
        let name = run("losetup", &["-f", "--show", &file])?.trim().trim_start_matches("/dev/").to_owned();
        let device = Self { image, name };
        std::fs::create_dir(device.mounted())?;
        let mounted = device.mounted();
        run("mount", &["-o", "noatime", &format!("/dev/{}", device.name), mounted.to_str().unwrap_or_default()])?;
        Ok(device)
    }

    fn mounted(&self) -> PathBuf {
        self.image.0.join("mounted")
    }

    /// Returns the bytes that were written to the device so far.
    fn written(&self) -> Outcome<u64> {
        let stat = std::fs::read_to_string(format!("/sys/block/{}/stat", self.name))?;
        let sectors = stat.split_whitespace().nth(6).ok_or("no count of sectors")?;
        Ok(sectors.parse::<u64>()? * SECTOR)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = run("umount", &[self.mounted().to_str().unwrap_or_default()]);
        let _ = run("losetup", &["-d", &format!("/dev/{}", self.name)]);
    }
}

fn run(program: &str, arguments: &[&str]) -> Outcome<String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Counts the bytes that reach the device while people talk, and while nobody does.
pub(crate) fn device(programs: &Programs) -> Outcome<Vec<Line>> {
    let work = format!("bytes written to the device a message, {RATE}/s");
    let device = match Device::new() {
        Ok(device) => device,
        Err(error) => return Ok(vec![Line::plain(&work, "not measured".into()).beside(error.to_string())]),
    };
    let server = with_data(programs, &device.mounted().join("data"), &[])?;
    fill(&server, 1, 1)?;
    let text = "x".repeat(LENGTH);
    let send = request("send_message", &["user-0", "room-0", &text], true);
    let mut connection = Connection::open(server.address)?;
    let mut say_for = |time: Duration| -> Outcome<u32> {
        let (begun, mut count) = (Instant::now(), 0);
        while begun.elapsed() < time {
            connection.call(&send)?;
            count += 1;
            std::thread::sleep(
                (begun + Duration::from_secs(1) / RATE * count).saturating_duration_since(Instant::now()),
            );
        }
        Ok(count)
    };
    // Until the blocks that are made ahead are there.
    say_for(Duration::from_secs(3))?;
    let before = device.written()?;
    let count = say_for(WATCHED)?;
    let each = (device.written()? - before) as f64 / f64::from(count);
    std::thread::sleep(SETTLED);
    let before = device.written()?;
    std::thread::sleep(WATCHED);
    let at_rest = device.written()? - before;
    Ok(vec![
        Line::new(&work, format!("{each:.0}"), "≤ 450".into(), each <= 450.0).beside("ext4, with its journal".into()),
        Line::new(
            &format!("bytes written at rest in {} s", WATCHED.as_secs()),
            at_rest.to_string(),
            "0".into(),
            at_rest == 0,
        ),
    ])
}
