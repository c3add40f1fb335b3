//! Calls, row by row of the table; deliveries have a file of their own.

use std::time::{Duration, Instant};

use crate::audience::TEXT;
use crate::deliveries::{self, Steady};
use crate::http::{Connection, hammer, request};
use crate::kept;
use crate::program::{Program, Programs};
use crate::{Line, Outcome};

/// The number of turns of programs that are compared, so that a noisy moment of the machine hits all alike.
pub(crate) const ROUNDS: usize = 5;
pub(crate) const ROUND: Duration = Duration::from_millis(1500);
/// Calls that are on their way at any time.
pub(crate) const CALLS: usize = 8;
/// The longest time for which the history of rooms is filled.
const FILL: Duration = Duration::from_secs(10);

/// Measures a row.
type Measure = fn(&Programs) -> Outcome<Vec<Line>>;

/// The names by which rows are chosen.
pub(crate) const ROWS: &[(&str, Measure)] = &[
    ("calls", |programs| calls(programs, true)),
    ("connections", |programs| calls(programs, false)),
    ("rest", deliveries::rest),
    ("room100", |programs| Steady { receivers: 100, rate: 20, cost: 10.0 }.measure(programs)),
    ("room1000", |programs| Steady { receivers: 1000, rate: 10, cost: 9.0 }.measure(programs)),
    ("stalled", deliveries::stalled),
    ("burst200", |programs| deliveries::burst(programs, 200, 100)),
    ("burst50", |programs| deliveries::burst(programs, 50, 1000)),
    ("start", start),
    ("rooms", rooms),
    ("kept", kept::calls),
    ("keptstart", kept::start),
    ("device", kept::device),
];

/// Returns the middle one, or the upper of two.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or(Duration::MAX)
}

pub(crate) fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Registers users on our server or one like it, each in one of the rooms.
pub(crate) fn fill(server: &Program, users: usize, rooms: usize) -> Outcome<()> {
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

/// Returns one `send_message` by each user.
pub(crate) fn messages(users: usize, rooms: usize, keep_alive: bool) -> Vec<Vec<u8>> {
    let message = |user| [format!("user-{user}"), format!("room-{}", user % rooms)];
    let message = |user| {
        let [user, room] = message(user);
        request("send_message", &[&user, &room, TEXT], keep_alive)
    };
    (0..users).map(message).collect()
}

/// Rounds of one program.
#[derive(Default)]
pub(crate) struct Rounds {
    /// Calls a second.
    rates: Vec<f64>,
    /// The program's processor time of a call, in microseconds: what a busy machine disturbs least.
    costs: Vec<f64>,
}

impl Rounds {
    pub(crate) fn add(&mut self, program: &Program, requests: &[Vec<u8>], keep_alive: bool) -> Outcome<()> {
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

    pub(crate) fn beside(&self) -> String {
        format!("{}, {}", self.figure(), self.cost())
    }

    /// Returns how many times as many calls these are as `others`, in the same rounds.
    pub(crate) fn ratio(&self, others: &Self) -> f64 {
        median(self.rates.iter().zip(&others.rates).map(|(ours, theirs)| ours / theirs).collect())
    }
}

/// Measures calls a second, beside a bare tiny_http and Python.
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

/// Measures the time from the start to the ready line.
fn start(programs: &Programs) -> Outcome<Vec<Line>> {
    let times = (0..4 * ROUNDS).map(|_| Ok(programs.server()?.ready.as_secs_f64() * 1000.0));
    let time = median(times.collect::<Outcome<_>>()?);
    Ok(vec![Line::new("start to ready line", format!("{time:.1} ms"), "≤ 50 ms".into(), time <= 50.0)])
}

/// Measures the cost of a call among many users in many rooms, against few in one.
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
        while Connection::open(server.address)?.metric("chat_messages_total")? < 60_000 && begun.elapsed() < FILL {
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
