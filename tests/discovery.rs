//! Binders are found in their network without an address, and nothing that anybody in the network sends does harm. Each
//! machine is a network namespace.

#![cfg(feature = "discovery")]
#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

mod support;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use chat_rpc::discovery::{Browser, Found};
use socket2::{Domain, Socket, Type};
use support::lan::Lan;
use support::peer::Usage;
use support::{BINDER, TIMEOUT, eventually};

const FOR_ALL: &[&str] = &["--listen", "0.0.0.0:5000"];
const GROUP: (Ipv4Addr, u16) = (Ipv4Addr::new(224, 0, 0, 251), 5353);
/// As long as the client looks around.
const LOOK: Duration = Duration::from_secs(2);

fn browse(patience: Duration) -> Vec<Found> {
    Browser::open().look(patience, true)
}

/// The addresses found from `machine`, in order, and how long that took.
#[track_caller]
fn look_around(lan: &Lan, machine: usize) -> (Vec<String>, Duration) {
    let start = Instant::now();
    let mut found: Vec<_> =
        lan.within(machine, || browse(LOOK)).into_iter().map(|found| found.endpoint.to_string()).collect();
    found.sort();
    (found, start.elapsed())
}

/// Waits until these are found from `machine`, in less time than a look takes that finds nothing.
#[track_caller]
fn finds(lan: &Lan, machine: usize, expected: &[&str]) {
    eventually("they are found, and soon", TIMEOUT, || {
        let (found, took) = look_around(lan, machine);
        found == expected && took < LOOK
    });
}

/// A socket on `machine` that hears what everybody in the network is told.
fn ear(lan: &Lan, machine: usize, port: u16) -> UdpSocket {
    let own: Ipv4Addr = lan.address(machine).parse().unwrap();
    lan.within(machine, || {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        // Beside a binder and a browser.
        socket.set_reuse_address(true).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into()).unwrap();
        socket.join_multicast_v4(&GROUP.0, &own).unwrap();
        socket.set_multicast_if_v4(&own).unwrap();
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        socket.into()
    })
}

/// The name in the wire format.
fn name(text: &str) -> Vec<u8> {
    let mut name = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        name.push(u8::try_from(label.len()).unwrap());
        name.extend(label.bytes());
    }
    name.push(0);
    name
}

/// A packet: id and flags, the numbers of entries, and the entries.
fn packet(head: [u16; 2], counts: [u16; 4], entries: &[&[u8]]) -> Vec<u8> {
    let mut packet: Vec<u8> = head.iter().chain(&counts).flat_map(|number| number.to_be_bytes()).collect();
    entries.iter().for_each(|entry| packet.extend_from_slice(entry));
    packet
}

/// A question for the service.
fn question() -> Vec<u8> {
    [name("_chat-rpc._tcp.local"), vec![0, 12, 0, 1]].concat()
}

/// A record of the Internet, with a minute to live.
fn record(of: &str, kind: u16, data: &[u8]) -> Vec<u8> {
    let size = u16::try_from(data.len()).unwrap().to_be_bytes();
    [&name(of)[..], &kind.to_be_bytes(), &[0, 1, 0, 0, 0, 60], &size, data].concat()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn binders_are_found_in_their_network_until_they_end() {
    let Some(lan) = Lan::of(3) else { return };
    let listener = ear(&lan, 3, GROUP.1);
    let mut first = lan.serve(1, BINDER, FOR_ALL);
    finds(&lan, 2, &["10.77.0.1:5000"]);
    // The machine itself too.
    finds(&lan, 1, &["10.77.0.1:5000"]);
    let _second = lan.serve(3, BINDER, &["--listen", "10.77.0.3:5001"]);
    finds(&lan, 2, &["10.77.0.1:5000", "10.77.0.3:5001"]);

    first.signal("TERM");
    assert!(first.wait_exit(TIMEOUT).success());
    // The goodbye: the announcement, with 0 seconds to live.
    let mut bytes = [0; 4096];
    let of_service = [&name("_chat-rpc._tcp.local")[..], &[0, 12, 0, 1, 0, 0, 0, 0]].concat();
    loop {
        let (size, from) = listener.recv_from(&mut bytes).expect("a goodbye comes");
        if contains(&bytes[..size], &of_service) {
            assert_eq!(from.to_string(), "10.77.0.1:5353");
            break;
        }
    }
    finds(&lan, 2, &["10.77.0.3:5001"]);
}

#[test]
fn binders_are_found_by_ipv6_where_there_is_nothing_else() {
    let Some(lan) = Lan::of(3) else { return };
    lan.only_ipv6();
    let first = lan.serve(1, BINDER, &["--listen", "[::]:5000"]);
    let _second = lan.serve(3, BINDER, &["--listen", "[fd77::3]:5001"]);
    // Nobody can reach it.
    let _third = lan.serve(3, BINDER, FOR_ALL);
    finds(&lan, 2, &["[fd77::1]:5000", "[fd77::3]:5001"]);
    drop(first);
    finds(&lan, 2, &["[fd77::3]:5001"]);
}

#[test]
fn a_binder_found_by_both_families_is_found_once() {
    let Some(lan) = Lan::of(2) else { return };
    lan.ip(2, "addr add fd77::2/64 dev eth0 nodad");
    lan.ip(1, "addr add fd77::1/64 dev eth0 nodad");
    let binder = lan.serve(1, BINDER, &["--listen", "[::]:5000"]);
    binder.stderr.wait_for_line("this machine is fd77::1", TIMEOUT);
    finds(&lan, 2, &["10.77.0.1:5000"]);
    // A binder for IPv4 alone is announced there alone.
    let other = lan.serve(1, BINDER, &["--listen", "0.0.0.0:5001"]);
    other.stderr.wait_for_line("this machine is 10.77.0.1", TIMEOUT);
    finds(&lan, 2, &["10.77.0.1:5000", "10.77.0.1:5001"]);
    assert!(!other.stderr.lines().join("\n").contains("fd77"));
}

#[test]
fn a_binder_for_its_own_machine_or_with_no_announce_is_not_announced() {
    let Some(lan) = Lan::of(2) else { return };
    let listener = ear(&lan, 2, GROUP.1);
    let _loopback = lan.serve(1, BINDER, &[] as &[&str]);
    let _silent = lan.serve(1, BINDER, &["--listen", "0.0.0.0:5001", "--no-announce"]);
    let (found, took) = look_around(&lan, 2);
    assert_eq!(found, [""; 0]);
    assert!(took < LOOK + Duration::from_secs(1), "{took:?}");
    // Nothing has come but the queries.
    listener.set_nonblocking(true).unwrap();
    let mut bytes = [0; 4096];
    while let Ok((_, from)) = listener.recv_from(&mut bytes) {
        assert_eq!(from.ip().to_string(), "10.77.0.2");
    }
}

#[test]
fn a_network_that_comes_later_is_told_too() {
    let Some(lan) = Lan::of(2) else { return };
    lan.ip(1, "link set eth0 down");
    let _binder = lan.serve(1, BINDER, FOR_ALL);
    lan.ip(1, "link set eth0 up");
    finds(&lan, 2, &["10.77.0.1:5000"]);
}

#[test]
fn a_program_without_multicast_dns_is_told_what_it_asks_for() {
    let Some(lan) = Lan::of(2) else { return };
    let _binder = lan.serve(1, BINDER, FOR_ALL);
    let asker = ear(&lan, 2, 0);
    let query = packet([0xabcd, 0], [1, 0, 0, 0], &[&question()]);
    let mut bytes = [0; 4096];
    asker.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut size = 0;
    eventually("the query is answered", TIMEOUT, || {
        asker.send_to(&query, GROUP).unwrap();
        asker.recv(&mut bytes).is_ok_and(|count| {
            size = count;
            true
        })
    });
    let reply = &bytes[..size];
    assert_eq!(reply[..2], [0xab, 0xcd], "the id of the query");
    assert!(contains(reply, &question()), "the question again");
    assert!(contains(reply, &[10, 77, 0, 1]), "the address");
    // Many queries do not make many replies.
    let start = Instant::now();
    let mut replies = 0;
    while start.elapsed() < Duration::from_secs(2) {
        asker.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        asker.send_to(&query, GROUP).unwrap();
        replies += u32::from(asker.recv(&mut bytes).is_ok());
    }
    assert!((1..=3).contains(&replies), "{replies} replies");
}

/// Packets that are wrong in one way each.
fn hostile() -> Vec<Vec<u8>> {
    let service = "_chat-rpc._tcp.local";
    let reply = [0, 0x8400];
    let pointer = |at: u16| (0xc000 | at).to_be_bytes();
    let mut packets = vec![
        Vec::new(),
        vec![0; 11],
        packet([0, 0], [u16::MAX; 4], &[]),
        packet(reply, [u16::MAX; 4], &[]),
        packet(reply, [0, u16::MAX, 0, 0], &[&record(service, 12, &name(service))]),
        // A name that points at itself, ahead, and beyond the end.
        packet([0, 0], [1, 0, 0, 0], &[&pointer(12), &[0, 12, 0, 1]]),
        packet([0, 0], [1, 0, 0, 0], &[&pointer(20), &[0, 12, 0, 1]]),
        packet([0, 0], [1, 0, 0, 0], &[&pointer(0x3fff), &[0, 12, 0, 1]]),
        // A record that is longer than the packet.
        packet(reply, [0, 1, 0, 0], &[&name(service), &[0, 12, 0, 1, 0, 0, 0, 60, 0xff, 0xff]]),
        // A label that is too long, and a name without an end.
        packet([0, 0], [1, 0, 0, 0], &[&[64], &[b'x'; 64], &[0, 0, 12, 0, 1]]),
        packet([0, 0], [1, 0, 0, 0], &[&[63; 4000]]),
        vec![0xff; 9000],
    ];
    // A chain of pointers, each to the one before.
    let chain: Vec<u8> = (0..1500u16).flat_map(|at| pointer(12 + 2 * at.saturating_sub(1))).collect();
    packets.push(packet([0, 0], [2, 0, 0, 0], &[&[1, b'x', 0, 0, 12, 0, 1], &chain]));
    // Every cut and every changed byte of a query and of a reply.
    let query = packet([0, 0], [1, 0, 0, 0], &[&question()]);
    let told = packet(reply, [0, 1, 0, 0], &[&record(service, 12, &name(&format!("x.{service}")))]);
    for whole in [query, told] {
        packets.extend((0..whole.len()).map(|end| whole[..end].to_vec()));
        for at in 0..whole.len() {
            for value in [0, 0x3f, 0x80, 0xc0, 0xff] {
                let mut changed = whole.clone();
                changed[at] = value;
                packets.push(changed);
            }
        }
    }
    packets
}

#[test]
fn hostile_packets_do_nothing_to_a_binder() {
    let Some(lan) = Lan::of(2) else { return };
    let binder = lan.serve(1, BINDER, FOR_ALL);
    finds(&lan, 2, &["10.77.0.1:5000"]);
    let usage = Usage::of(&binder);
    for port in [0, GROUP.1] {
        let attacker = ear(&lan, 2, port);
        for _ in 0..20 {
            for packet in hostile() {
                attacker.send_to(&packet, GROUP).unwrap();
            }
        }
    }
    finds(&lan, 2, &["10.77.0.1:5000"]);
    assert!(usage.growth_kb() < 1000, "{} kB", usage.growth_kb());
    assert!(!binder.stderr.lines().join("\n").contains("panic"));
}

#[test]
fn hostile_replies_reach_nobody_but_as_harmless_names() {
    let Some(lan) = Lan::of(3) else { return };
    let _binder = lan.serve(1, BINDER, FOR_ALL);
    let service = "_chat-rpc._tcp.local";
    let attacker = ear(&lan, 3, GROUP.1);
    let mut replies = hostile();
    // More services than anybody has, on hosts that are none.
    for number in 0..1000 {
        let instance = format!("x{number}.{service}");
        let place = [&[0, 0, 0, 0, 0, 9][..], &name("host.local")].concat();
        let entries = [
            record(service, 12, &name(&instance)),
            record(&instance, 33, &place),
            record("host.local", 1, &[127, 0, 0, 1]),
        ];
        replies.push(packet([0, 0x8400], [0, 3, 0, 0], &entries.each_ref().map(Vec::as_slice)));
    }
    // A name that writes on the screen.
    let instance = format!("\u{1b}[2J\r\nana.{service}");
    let place = [&[0, 0, 0, 0, 0, 9][..], &name("evil.local")].concat();
    let entries = [
        record(service, 12, &name(&instance)),
        record(&instance, 33, &place),
        record("evil.local", 1, &[10, 77, 0, 3]),
    ];
    let evil = packet([0, 0x8400], [0, 3, 0, 0], &entries.each_ref().map(Vec::as_slice));
    let found = std::thread::scope(|scope| {
        let search = scope.spawn(|| lan.within(2, || browse(LOOK)));
        while !search.is_finished() {
            attacker.send_to(&evil, GROUP).unwrap();
            for reply in &replies {
                attacker.send_to(reply, GROUP).unwrap();
            }
        }
        search.join().unwrap()
    });
    assert!(found.len() < 100, "{}", found.len());
    for Found { name, endpoint } in found {
        assert!(name.chars().all(|c| !c.is_control()), "{name:?}");
        assert!(!endpoint.host.starts_with("127."), "{endpoint}");
    }
    finds(&lan, 2, &["10.77.0.1:5000"]);
}
