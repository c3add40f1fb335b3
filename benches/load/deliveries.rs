//! Deliveries, row by row of the table: the same work by each kind of peers, in turns.

use std::thread;
use std::time::Duration;

use crate::audience::{Audience, Round};
use crate::peers::Kind;
use crate::program::{Program, Programs};
use crate::rows::{median, megabytes, millis, percentile};
use crate::{Line, Outcome};

/// The number of turns of each kind.
const TURNS: usize = 3;
/// The time for which people talk in a room, and for which idle receivers are watched.
const TALK: u64 = 5;
const WATCH: Duration = Duration::from_secs(31);
/// The number of bursts in each turn.
const BURSTS: usize = 5;

/// The medians of a kind's turns.
#[derive(Debug, Clone, Copy)]
struct Figures {
    p50: Duration,
    p99: Duration,
    /// The program's processor time of a delivery, in microseconds.
    cost: f64,
    /// Deliveries a second.
    rate: f64,
    /// The sender's own calls; `None` for protocols that acknowledge nothing.
    call: Option<Duration>,
}

impl Figures {
    fn of<'a>(rounds: impl Iterator<Item = &'a Round> + Clone) -> Self {
        let over = |figure: &dyn Fn(&Round) -> f64| median(rounds.clone().map(figure).collect());
        let latency =
            |percent| Duration::from_secs_f64(over(&|round| percentile(&round.latencies, percent).as_secs_f64()));
        let has_calls = rounds.clone().any(|round| !round.calls.is_empty());
        Self {
            p50: latency(50),
            p99: latency(99),
            cost: over(&Round::cost),
            rate: over(&Round::rate),
            call: has_calls.then(|| Duration::from_secs_f64(over(&|round| percentile(&round.calls, 99).as_secs_f64()))),
        }
    }

    fn latency(&self) -> String {
        format!("{:.1} / {:.1} ms", self.p50.as_secs_f64() * 1e3, self.p99.as_secs_f64() * 1e3)
    }

    fn beside(&self) -> String {
        let call = self.call.map(|call| format!(", sender's call p99 {}", millis(call))).unwrap_or_default();
        format!("{:.1} µs each{call}", self.cost)
    }
}

/// A kind's figures, or the reason why there are none.
type Measured = (Kind, Result<Figures, String>);

/// Lets each kind do `work` in turns, on a program of its own each time.
fn compare(programs: &Programs, work: impl Fn(Kind, &Program) -> Outcome<Vec<Round>>) -> Vec<Measured> {
    let [measured] = compare_phases(programs, work);
    measured
}

/// Compares work of several phases, whose rounds are of each phase in turn.
fn compare_phases<const PHASES: usize>(
    programs: &Programs,
    work: impl Fn(Kind, &Program) -> Outcome<Vec<Round>>,
) -> [Vec<Measured>; PHASES] {
    let mut rounds: Vec<(Kind, Result<Vec<Round>, String>)> = Kind::ALL.map(|kind| (kind, Ok(Vec::new()))).into();
    for _ in 0..TURNS {
        for (kind, rounds) in &mut rounds {
            let Ok(done) = rounds else { continue };
            let turn = || match programs.of(*kind)? {
                Some(program) => work(*kind, &program),
                None => Err("not installed here".into()),
            };
            match turn() {
                Ok(new) => done.extend(new),
                Err(error) => *rounds = Err(error.to_string()),
            }
        }
    }
    std::array::from_fn(|phase| {
        let figures = |rounds: &Vec<Round>| Figures::of(rounds.iter().skip(phase).step_by(PHASES));
        rounds.iter().map(|(kind, rounds)| (*kind, rounds.as_ref().map(figures).map_err(Clone::clone))).collect()
    })
}

fn of(measured: &[Measured], wanted: Kind) -> Option<Figures> {
    measured.iter().find(|(kind, _)| *kind == wanted)?.1.as_ref().ok().copied()
}

/// Returns a line for each kind. `judge` returns the target of a kind and whether it is met.
fn lines(
    work: &str,
    measured: &[Measured],
    figure: impl Fn(&Figures) -> String,
    judge: impl Fn(Kind, &Figures) -> Option<(String, bool)>,
) -> Vec<Line> {
    let mut lines = Vec::new();
    for (kind, figures) in measured {
        let lead = if lines.is_empty() { work } else { "…" };
        let work = format!("{lead} {}", kind.name());
        lines.push(match figures {
            Err(error) => Line::plain(&work, "-".into()).beside(error.clone()),
            Ok(figures) => match judge(*kind, figures) {
                Some((target, is_met)) => Line::new(&work, figure(figures), target, is_met),
                None => Line::plain(&work, figure(figures)),
            }
            .beside(figures.beside()),
        });
    }
    lines
}

/// Messages at a steady rate to everybody in a room.
pub(crate) struct Steady {
    pub(crate) receivers: usize,
    /// Messages a second.
    pub(crate) rate: u32,
    /// The target for event streams, in microseconds of processor time a delivery.
    pub(crate) cost: f64,
}

impl Steady {
    pub(crate) fn measure(&self, programs: &Programs) -> Outcome<Vec<Line>> {
        let measured = compare(programs, |kind, program| {
            let mut audience = Audience::enter(kind, program, self.receivers, 0)?;
            Ok(vec![self.talk(&mut audience)?])
        });
        let mosquitto = of(&measured, Kind::Mosquitto);
        let work = format!("{} receivers, {}/s, p50 / p99:", self.receivers, self.rate);
        Ok(lines(&work, &measured, Figures::latency, |kind, figures| match kind {
            Kind::Events => {
                let is_met = figures.cost <= self.cost
                    && mosquitto.is_none_or(|theirs| figures.p50 <= theirs.p50 && figures.p99 <= theirs.p99);
                Some((format!("≤ mosq., {} µs", self.cost), is_met))
            }
            Kind::Waits if self.receivers >= 1000 => Some(("≤ 45 µs".into(), figures.cost <= 45.0)),
            _ => None,
        }))
    }

    /// Talks for a second to come up to speed, and then for the round that counts.
    fn talk(&self, audience: &mut Audience<'_>) -> Outcome<Round> {
        let interval = Duration::from_secs(1) / self.rate;
        audience.round(self.rate.into(), interval)?;
        audience.round(u64::from(self.rate) * TALK, interval)
    }
}

/// Sends messages at a steady rate, first to readers alone and then beside some that never read.
pub(crate) fn stalled(programs: &Programs) -> Outcome<Vec<Line>> {
    const WORK: Steady = Steady { receivers: 80, rate: 20, cost: 0.0 };
    const STALLED: usize = 20;
    let [alone, beside] = compare_phases(programs, |kind, program| {
        if kind == Kind::Waits {
            return Err("a wait that is not read is one answer".into());
        }
        let mut audience = Audience::enter(kind, program, WORK.receivers, STALLED)?;
        let alone = WORK.talk(&mut audience)?;
        audience.stall(STALLED)?;
        let beside = WORK.talk(&mut audience)?;
        let blocked = program.blocked()?;
        if kind == Kind::Events && blocked < STALLED {
            return Err(format!("only {blocked} are blocked").into());
        }
        Ok(vec![alone, beside])
    });
    let mut all = lines("80 receivers, 20/s, p50 / p99:", &alone, Figures::latency, |_, _| None);
    let without = of(&alone, Kind::Events);
    all.extend(lines("… and 20 that never read:", &beside, Figures::latency, |kind, figures| {
        // Twice, or a millisecond: what another moment of a machine makes of the same work.
        let most = without.map(|without| (without.p99 * 2).max(without.p99 + Duration::from_millis(1)))?;
        (kind == Kind::Events).then(|| (format!("≤ {}", millis(most)), figures.p99 <= most))
    }));
    Ok(all)
}

/// Sends messages as fast as they are accepted, `messages` of them to each of `receivers`.
pub(crate) fn burst(programs: &Programs, messages: u64, receivers: usize) -> Outcome<Vec<Line>> {
    const CALL: Duration = Duration::from_millis(5);
    let measured = compare(programs, |kind, program| {
        let mut audience = Audience::enter(kind, program, receivers, 0)?;
        (0..BURSTS).map(|_| audience.round(messages, Duration::ZERO)).collect()
    });
    let theirs = of(&measured, Kind::Ngircd).map_or(0.0, |theirs| theirs.rate);
    let work = format!("{messages} messages at once to {receivers}, deliveries:");
    let rate = |figures: &Figures| format!("{:.0}/s", figures.rate);
    Ok(lines(&work, &measured, rate, |kind, figures| {
        let is_met = figures.rate >= theirs && figures.call.is_none_or(|call| call <= CALL);
        (kind == Kind::Events).then(|| ("≥ ngIRCd, 5 ms".into(), is_met))
    }))
}

/// Measures the cost of a thousand receivers that only wait.
pub(crate) fn rest(programs: &Programs) -> Outcome<Vec<Line>> {
    const RECEIVERS: usize = 1000;
    let mut lines = Vec::new();
    for kind in Kind::ALL {
        let work = if lines.is_empty() { "1,000 receivers at rest, each:" } else { "…" };
        let work = format!("{work} {}", kind.name());
        let mut measure = || -> Outcome<()> {
            let program = programs.of(kind)?.ok_or("not installed here")?;
            // One first, so that nothing that is allocated once counts for the others.
            let peers = kind.peers(program.address);
            peers.enter(RECEIVERS)?;
            let entered = program.usage()?;
            let _audience = Audience::receiving(peers, &program, RECEIVERS)?;
            program.settle()?;
            let (before, sleeps) = (program.processor()?, program.sleeps()?);
            thread::sleep(WATCH);
            let after = program.usage()?;
            let (processor, sleeps) = (after.processor - before, program.sleeps()?.saturating_sub(sleeps));
            let each = after.resident.saturating_sub(entered.resident) as f64 / RECEIVERS as f64 / 1000.0;
            let figure = format!("{each:.1} KB");
            let line = match kind {
                Kind::Events => Line::new(&work, figure, "≤ 2.6 KB".into(), each <= 2.6),
                Kind::Waits => Line::new(&work, figure, "≤ 4.5 KB".into(), each <= 4.5),
                Kind::Mosquitto | Kind::Ngircd => Line::plain(&work, figure),
            };
            lines.push(line.beside(format!(
                "{} in all, {} threads; in {} s {} wake-ups, {} ms",
                megabytes(after.resident),
                after.threads,
                WATCH.as_secs(),
                sleeps,
                processor.as_millis()
            )));
            Ok(())
        };
        if let Err(error) = measure() {
            lines.push(Line::plain(&work, "-".into()).beside(error.to_string()));
        }
    }
    Ok(lines)
}
