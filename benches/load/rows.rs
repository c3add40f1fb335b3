//! What is measured, row by row of the table.

use std::thread;
use std::time::{Duration, Instant};

use crate::audience::{Audience, Round, TEXT, enter};
use crate::http::{Connection, hammer, request};
use crate::program::{Program, Programs};
use crate::{Line, Outcome};

/// How often what is compared takes turns, so that a noisy moment of the machine hits all alike.
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(1500);
/// Calls that are on their way at any time.
const CALLS: usize = 8;
/// How long a room is talked in, and how long those who only wait are watched.
const TALK: Duration = Duration::from_secs(10);
const WATCH: Duration = Duration::from_secs(30);
/// How often a burst is repeated.
const BURSTS: usize = 10;

/// What measures a row.
type Measure = fn(&Programs) -> Outcome<Vec<Line>>;

/// The names by which rows are chosen.
pub(crate) const ROWS: &[(&str, Measure)] = &[
    ("calls", |programs| calls(programs, true)),
    ("connections", |programs| calls(programs, false)),
    ("waiting", waiting),
    ("room100", |programs| room(programs, 100, 20, 4, 10)),
    ("room1000", |programs| room(programs, 1000, 10, u64::MAX, 100)),
    ("burst", burst),
    ("start", start),
    ("rooms", rooms),
];

/// The middle one, or the upper of two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or(Duration::MAX)
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Users in rooms, each in one, on our server or one like it.
fn fill(server: &Program, users: usize, rooms: usize) -> Outcome<()> {
    let mut connection = Connection::open(server.address)?;
    for room in 0..rooms {
        connection.make("create_room", &[&format!("room-{room}")])?;
    }
    for user in 0..users {
        let (room, user) = (format!("room-{}", user % rooms), format!("user-{user}"));
        connection.make("register_user", &[&user])?;
        connection.make("join_room", &[&user, &room])?;
    }
    Ok(())
}

/// One `send_message` by each user.
fn messages(users: usize, rooms: usize, keep_alive: bool) -> Vec<Vec<u8>> {
    let message = |user| [format!("user-{user}"), format!("room-{}", user % rooms)];
    let message = |user| {
        let [user, room] = message(user);
        request("send_message", &[&user, &room, TEXT], keep_alive)
    };
    (0..users).map(message).collect()
}

/// Rounds of one program.
#[derive(Default)]
struct Rounds {
    /// Calls a second.
    rates: Vec<f64>,
    /// The program's processor time of a call, in microseconds: what a busy machine disturbs least.
    costs: Vec<f64>,
}

impl Rounds {
    fn add(&mut self, program: &Program, requests: &[Vec<u8>], keep_alive: bool) -> Outcome<()> {
        let before = program.usage()?.processor;
        let rate = hammer(program.address, requests, CALLS, keep_alive, ROUND)?;
        let used = program.usage()?.processor - before;
        self.rates.push(rate);
        self.costs.push(used.as_secs_f64() * 1e6 / (rate * ROUND.as_secs_f64()));
        Ok(())
    }

    fn figure(&self) -> String {
        format!("{:.0}/s", median(self.rates.clone()))
    }

    fn cost(&self) -> String {
        format!("{:.0} µs of processor each", median(self.costs.clone()))
    }

    fn beside(&self) -> String {
        format!("{}, {}", self.figure(), self.cost())
    }

    /// How many times as many calls these are as `others`, in the same rounds.
    fn ratio(&self, others: &Self) -> f64 {
        median(self.rates.iter().zip(&others.rates).map(|(ours, theirs)| ours / theirs).collect())
    }
}

/// Calls a second, beside a bare tiny_http and Python.
fn calls(programs: &Programs, keep_alive: bool) -> Outcome<Vec<Line>> {
    let requests = messages(CALLS, 1, keep_alive);
    let server = programs.server()?;
    fill(&server, CALLS, 1)?;
    let length = Connection::open(server.address)?.call(&messages(1, 1, true)[0])?.len();
    let bare = programs.bare(length)?;
    let python = programs.python();
    if let Some(python) = &python {
        fill(python, CALLS, 1)?;
    }
    let (mut ours, mut bares, mut pythons) = (Rounds::default(), Rounds::default(), Rounds::default());
    for _ in 0..ROUNDS {
        ours.add(&server, &requests, keep_alive)?;
        bares.add(&bare, &requests, keep_alive)?;
        if let Some(python) = &python {
            pythons.add(python, &requests, keep_alive)?;
        }
    }
    let (connections, least) = if keep_alive {
        (format!("{CALLS} keep-alive connections"), 0.75)
    } else {
        ("a new connection each".into(), 0.7)
    };
    let (to_bare, to_python) = (ours.ratio(&bares), ours.ratio(&pythons));
    Ok(vec![
        Line::plain(&format!("`send_message`, {connections}"), ours.figure()).beside(ours.cost()),
        Line::new("… to a bare tiny_http", format!("{to_bare:.2}"), format!("≥ {least}"), to_bare >= least)
            .beside(bares.beside()),
        match (&python, keep_alive) {
            (None, _) => Line::plain("… to Python", "no Python here".into()),
            (_, true) => Line::new("… to Python", format!("{to_python:.1}"), "≥ 10".into(), to_python >= 10.0)
                .beside(pythons.beside()),
            (_, false) => Line::plain("… to Python", format!("{to_python:.1}")).beside(pythons.beside()),
        },
    ])
}

/// What a thousand waiting clients cost.
fn waiting(programs: &Programs) -> Outcome<Vec<Line>> {
    const CLIENTS: usize = 1000;
    let server = programs.server()?;
    let names: Vec<_> = (0..CLIENTS).map(|number| format!("receiver-{number}")).collect();
    // One user first, so that what the first call allocates is not counted for the others.
    Connection::open(server.address)?.make("register_user", &["first"])?;
    let empty = server.usage()?;
    enter(&server, &names)?;
    let entered = server.usage()?;
    let _audience = Audience::waiting(&server, &names)?;
    let settled = server.settle()?;
    thread::sleep(WATCH);
    let after = server.usage()?;
    let each = |from: u64, to: u64| to.saturating_sub(from) as f64 / CLIENTS as f64 / 1000.0;
    let (wait, user) = (each(entered.resident, after.resident), each(empty.resident, entered.resident));
    let processor = after.processor - settled.processor;
    Ok(vec![
        Line::new("1,000 waiting, resident memory each", format!("{wait:.1} KB"), "≤ 4.5 KB".into(), wait <= 4.5)
            .beside(format!("and {user:.1} KB as a user in a room; {} in all", megabytes(after.resident))),
        Line::new("… threads", after.threads.to_string(), "≤ 64".into(), after.threads <= 64),
        // The clock ticks every 10 ms, and the server looks after itself every 2 s.
        Line::new(
            "… processor time in 30 s",
            format!("{} ms", processor.as_millis()),
            "≤ 30 ms".into(),
            processor <= Duration::from_millis(30),
        ),
    ])
}

/// Messages at a steady rate to everybody in a room, beside mosquitto. `p50` and `p99` are targets in milliseconds.
fn room(programs: &Programs, receivers: usize, rate: u32, p50: u64, p99: u64) -> Outcome<Vec<Line>> {
    let talk = |audience: &mut Audience| {
        audience.round(rate.into(), Duration::from_secs(1) / rate)?;
        audience.round(u64::from(rate) * TALK.as_secs(), Duration::from_secs(1) / rate)
    };
    let server = programs.server()?;
    let mut audience = Audience::of_server(&server, receivers)?;
    let round = talk(&mut audience)?;
    let peak = server.usage()?;
    let theirs = match programs.mosquitto() {
        Some(mosquitto) => Some(talk(&mut Audience::of_mosquitto(&mosquitto, receivers)?)?),
        None => None,
    };
    let beside = |percent| match &theirs {
        Some(theirs) => format!("mosquitto {}", millis(percentile(&theirs.latencies, percent))),
        None => "no mosquitto here".to_owned(),
    };
    let judged = |work: &str, percent, target: u64, sorted: &[Duration]| {
        let time = percentile(sorted, percent);
        if target == u64::MAX {
            Line::plain(work, millis(time))
        } else {
            Line::new(work, millis(time), format!("≤ {target} ms"), time <= Duration::from_millis(target))
        }
    };
    let work = format!("{receivers} receivers, {rate} messages/s, p50");
    let mut lines = vec![
        judged(&work, 50, p50, &round.latencies).beside(beside(50)),
        judged("… p99", 99, p99, &round.latencies).beside(beside(99)),
    ];
    if receivers >= 1000 {
        lines.push(judged("… the sender's own call, p99", 99, 20, &round.calls));
        thread::sleep(Duration::from_secs(10));
        let usage = server.usage()?;
        let resident = usage.resident;
        lines.push(
            Line::new(
                "… resident memory 10 s later (static musl)",
                megabytes(resident),
                "≤ 16 MB".into(),
                resident <= 16_000_000,
            )
            .beside(format!(
                "{} and {} threads at the end, {} at most",
                megabytes(peak.resident),
                peak.threads,
                megabytes(usage.peak)
            )),
        );
    }
    Ok(lines)
}

/// Deliveries a second while messages come as fast as they are accepted, beside mosquitto.
fn burst(programs: &Programs) -> Outcome<Vec<Line>> {
    const RECEIVERS: usize = 100;
    const MESSAGES: u64 = 200;
    let rate = |round: Round| round.latencies.len() as f64 / round.time.as_secs_f64();
    let rates = |audience: &mut Audience| -> Outcome<f64> {
        let rates = (0..BURSTS).map(|_| audience.round(MESSAGES, Duration::ZERO).map(rate));
        Ok(median(rates.collect::<Outcome<_>>()?))
    };
    let server = programs.server()?;
    let ours = rates(&mut Audience::of_server(&server, RECEIVERS)?)?;
    let beside = match programs.mosquitto() {
        Some(mosquitto) => {
            format!("mosquitto {:.0}/s", rates(&mut Audience::of_mosquitto(&mosquitto, RECEIVERS)?)?)
        }
        None => "no mosquitto here".into(),
    };
    let work = format!("{RECEIVERS} receivers, {MESSAGES} messages at once, deliveries");
    Ok(vec![Line::new(&work, format!("{ours:.0}/s"), "≥ 100000/s".into(), ours >= 1e5).beside(beside)])
}

/// From the start to the ready line.
fn start(programs: &Programs) -> Outcome<Vec<Line>> {
    let times = (0..4 * ROUNDS).map(|_| Ok(programs.server()?.ready.as_secs_f64() * 1000.0));
    let time = median(times.collect::<Outcome<_>>()?);
    Ok(vec![Line::new("start to ready line", format!("{time:.1} ms"), "≤ 50 ms".into(), time <= 50.0)])
}

/// What a call costs among many users in many rooms, against few in one.
fn rooms(programs: &Programs) -> Outcome<Vec<Line>> {
    const SIZES: [(usize, usize); 2] = [(10, 1), (10_000, 1000)];
    let mut sides = Vec::new();
    for (users, rooms) in SIZES {
        let server = programs.server()?;
        fill(&server, users, rooms)?;
        let send = messages(users, rooms, true);
        let mut mixed = Vec::new();
        for (user, send) in send.iter().enumerate() {
            let (name, room) = (format!("user-{user}"), format!("room-{}", user % rooms));
            mixed.push(send.clone());
            mixed.push(request("list_users", &[&room], true));
            mixed.push(request("join_room", &[&name, &room], true));
        }
        // Until the history is as full as it gets.
        let begun = Instant::now();
        while Connection::open(server.address)?.metric("chat_messages_total")? < 60_000 && begun.elapsed() < TALK {
            hammer(server.address, &send, CALLS, true, ROUND)?;
        }
        sides.push((server, [send, mixed]));
    }
    let mut lines = Vec::new();
    for (kind, work) in
        ["10,000 users in 1,000 rooms to 10 in one, `send_message`", "… with `list_users` and `join_room`"]
            .into_iter()
            .enumerate()
    {
        let mut rounds = [Rounds::default(), Rounds::default()];
        for _ in 0..ROUNDS {
            for ((server, requests), rounds) in sides.iter().zip(&mut rounds) {
                rounds.add(server, &requests[kind], true)?;
            }
        }
        let [few, many] = rounds;
        let cost = few.ratio(&many);
        let beside = format!("{} to {}", many.beside(), few.beside());
        lines.push(Line::new(work, format!("{cost:.2}"), "≤ 1.5".into(), cost <= 1.5).beside(beside));
    }
    Ok(lines)
}
