//! The hub with connections that take as much as a test lets them.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use super::super::reader::{LAST_PAUSE, STUCK_TIMEOUT};
use super::*;

/// A connection that takes as much as it has room for.
#[derive(Clone)]
struct Pipe(Rc<RefCell<PipeState>>);

struct PipeState {
    got: Vec<u8>,
    writes: usize,
    room: usize,
    is_broken: bool,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.borrow_mut();
        if state.is_broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let count = bytes.len().min(state.room);
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.room -= count;
        state.writes += 1;
        state.got.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Pipe {
    fn new(room: usize) -> Self {
        Self(Rc::new(RefCell::new(PipeState { got: Vec::new(), writes: 0, room, is_broken: false })))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.borrow().got.clone()).unwrap()
    }

    fn writes(&self) -> usize {
        self.0.borrow().writes
    }

    fn is_open(&self) -> bool {
        Rc::strong_count(&self.0) > 1
    }

    fn has_room(&self, room: usize) {
        self.0.borrow_mut().room = room;
    }
}

const FEED: u64 = 7;

struct Bench {
    hub: Hub<Pipe>,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        Self { hub: Hub::new(now), now }
    }

    fn open(&mut self, reader: u64, room: usize) -> Pipe {
        let pipe = Pipe::new(room);
        self.hub.open(FEED, Stream::new(reader, pipe.clone(), reader, b"head;".to_vec()));
        pipe
    }

    fn publish(&mut self, to: Audience, text: &str) {
        self.hub.publish(FEED, LoggedEvent { event: text.as_bytes().into(), to, is_last: false });
    }

    fn end(&mut self, to: Audience, text: &str) {
        self.hub.publish(FEED, LoggedEvent { event: text.as_bytes().into(), to, is_last: true });
    }

    fn write(&mut self) {
        self.hub.write(self.now);
    }

    /// Lets time pass as the thread does: it wakes when the hub says.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.hub.wakes_at().filter(|at| *at <= end) {
            self.now = at;
            self.write();
        }
        self.now = end;
    }

    fn kept(&self) -> usize {
        self.hub.feeds.values().map(Feed::kept).sum()
    }
}

#[test]
fn a_round_is_one_write_for_each_reader_and_shows_each_only_theirs() {
    let mut bench = Bench::new();
    let readers = [1, 2, 3].map(|reader| bench.open(reader, usize::MAX));
    bench.write();
    bench.publish(Audience::All, "all;");
    bench.publish(Audience::Except(1), "not 1;");
    bench.publish(Audience::Only(2, 1), "1 and 2;");
    bench.publish(Audience::All, "end;");
    bench.write();
    assert_eq!(readers[0].text(), "head;all;1 and 2;end;");
    assert_eq!(readers[1].text(), "head;all;not 1;1 and 2;end;");
    assert_eq!(readers[2].text(), "head;all;not 1;end;");
    assert!(readers.iter().all(|reader| reader.writes() == 2), "the head, and everything else");
    assert_eq!(bench.kept(), 0, "nothing is kept where everybody reads");
}

#[test]
fn a_reader_who_comes_later_gets_only_what_follows() {
    let mut bench = Bench::new();
    let first = bench.open(1, usize::MAX);
    bench.publish(Audience::All, "before;");
    let second = bench.open(2, usize::MAX);
    bench.publish(Audience::All, "after;");
    bench.write();
    assert_eq!((first.text().as_str(), second.text().as_str()), ("head;before;after;", "head;after;"));
}

#[test]
fn a_reader_who_does_not_read_holds_up_nobody_and_gets_everything_later() {
    // Whatever the place where the connection is full: within the head, at a boundary, within an event.
    for room in 0..30 {
        let mut bench = Bench::new();
        let (slow, quick) = (bench.open(1, room), bench.open(2, usize::MAX));
        bench.write();
        for number in 0..5 {
            bench.publish(Audience::All, &format!("<{number}>"));
            bench.publish(Audience::Except(1), "x");
            if number % 2 == 0 {
                bench.write();
            }
        }
        bench.write();
        assert_eq!(quick.text(), "head;<0>x<1>x<2>x<3>x<4>x");
        assert!("head;<0><1><2><3><4>".starts_with(&slow.text()), "{room}: {}", slow.text());
        for _ in 0..30 {
            slow.has_room(1);
            bench.pass(LAST_PAUSE);
        }
        slow.has_room(usize::MAX);
        bench.pass(LAST_PAUSE);
        assert_eq!(slow.text(), "head;<0><1><2><3><4>", "{room}");
        assert_eq!(bench.kept(), 0);
        assert_eq!(bench.hub.retry_at, None);
    }
}

#[test]
fn a_reader_who_takes_nothing_for_too_long_is_ended() {
    let mut bench = Bench::new();
    let (slow, quick) = (bench.open(1, 7), bench.open(2, usize::MAX));
    bench.publish(Audience::All, "event;");
    bench.write();
    bench.pass(STUCK_TIMEOUT);
    assert!(slow.is_open());
    bench.pass(LAST_PAUSE * 2);
    assert!(!slow.is_open() && quick.is_open());
    assert_eq!(bench.kept(), 0);
}

#[test]
fn the_reader_who_has_been_stuck_longest_goes_when_too_much_is_kept() {
    let mut bench = Bench::new();
    let first = bench.open(1, 5);
    bench.publish(Audience::All, &"x".repeat(MAX_KEPT / 2));
    bench.write();
    bench.pass(Duration::from_millis(1));
    let (second, quick) = (bench.open(2, 5), bench.open(3, usize::MAX));
    bench.publish(Audience::All, &"y".repeat(MAX_KEPT / 2));
    bench.write();
    assert!(first.is_open() && second.is_open(), "as much is kept as may be");
    bench.publish(Audience::All, "z");
    bench.write();
    assert!(!first.is_open() && second.is_open() && quick.is_open());
    assert_eq!(bench.kept(), MAX_KEPT / 2 + 1);
}

#[test]
fn a_comment_finds_the_readers_who_are_gone_and_is_the_only_reason_to_wake_up() {
    let mut bench = Bench::new();
    assert_eq!(bench.hub.wakes_at(), None);
    let (gone, here) = (bench.open(1, usize::MAX), bench.open(2, usize::MAX));
    bench.write();
    gone.0.borrow_mut().is_broken = true;
    assert_eq!(bench.hub.wakes_at(), Some(bench.now + KEEP_ALIVE));
    bench.pass(KEEP_ALIVE);
    assert_eq!(here.text(), "head;:\n\n");
    assert!(!gone.is_open());
    here.0.borrow_mut().is_broken = true;
    bench.pass(KEEP_ALIVE);
    assert_eq!(bench.hub.wakes_at(), None);
}

#[test]
fn two_comments_show_at_once_whether_a_reader_is_gone() {
    let mut bench = Bench::new();
    let (gone, here) = (bench.open(1, usize::MAX), bench.open(2, usize::MAX));
    bench.write();
    for connection in [1, 2, 99] {
        bench.hub.suspect(connection, bench.now);
    }
    // The first write to a closed connection succeeds.
    gone.0.borrow_mut().is_broken = true;
    bench.pass(Duration::from_secs(1));
    assert!(!gone.is_open());
    assert_eq!(here.text(), "head;:\n\n:\n\n");
    assert_eq!(bench.hub.wakes_at(), Some(bench.hub.next_keep_alive));
    here.0.borrow_mut().is_broken = true;
    bench.hub.suspect(2, bench.now);
    assert_eq!(bench.hub.wakes_at(), None);
}

#[test]
fn a_stream_ends_after_its_last_event() {
    let mut bench = Bench::new();
    let (leaver, other) = (bench.open(1, usize::MAX), bench.open(2, usize::MAX));
    bench.publish(Audience::All, "a;");
    bench.end(Audience::Only(1, 1), "bye;");
    bench.publish(Audience::All, "b;");
    bench.write();
    assert_eq!((leaver.text().as_str(), leaver.is_open()), ("head;a;bye;", false));
    assert_eq!((other.text().as_str(), other.is_open()), ("head;a;b;", true));
}

#[test]
fn at_the_end_all_get_a_farewell_and_nobody_is_waited_for() {
    let mut bench = Bench::new();
    let (slow, quick) = (bench.open(1, 8), bench.open(2, usize::MAX));
    bench.write();
    bench.hub.end_all(&Arc::from(&b"farewell;"[..]));
    bench.write();
    let late = bench.open(3, usize::MAX);
    bench.write();
    assert_eq!(quick.text(), "head;farewell;");
    assert_eq!(late.text(), "head;farewell;");
    assert!([slow, quick, late].iter().all(|pipe| !pipe.is_open()));
    assert_eq!(bench.hub.wakes_at(), None);
}

#[test]
fn what_is_joined_is_bounded_and_complete() {
    let mut bench = Bench::new();
    let (plain, mentioned) = (bench.open(1, usize::MAX), bench.open(2, usize::MAX));
    let text = "0123456789".repeat(1000);
    for _ in 0..20 {
        bench.publish(Audience::All, &text);
    }
    bench.publish(Audience::Only(2, 2), "private");
    bench.write();
    assert_eq!(plain.text(), format!("head;{}", text.repeat(20)));
    assert_eq!(mentioned.text(), format!("head;{}private", text.repeat(20)));
    assert_eq!(plain.writes(), 1 + 3);
}
