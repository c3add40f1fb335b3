//! Requests that a web page can make a visitor's browser send to a server on the visitor's machine or network, and what somebody
//! can hide from a proxy.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

mod support;

use chat_rpc::rpc::{Fault, write};
use support::http::{Connection, ask};
use support::peer::Peer;
use support::{binder, server};

/// A call that registers somebody, with these header lines beside the length.
fn registration(user: &str, lines: &str) -> String {
    let body = write::call("register_user", &[user.into()]);
    format!("POST / HTTP/1.1\r\n{lines}Content-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn only_xml_is_taken_because_a_page_can_send_everything_else_unasked() {
    for program in [server(&[]), binder(&[])] {
        let status = |lines: &str| ask(&program, &registration("ana", &format!("Host: localhost\r\n{lines}"))).status;
        // The three types of a request that a browser sends without asking first, and none at all.
        for lines in [
            "",
            "Content-Type: text/plain\r\n",
            "Content-Type: application/x-www-form-urlencoded\r\n",
            "Content-Type: multipart/form-data; boundary=x\r\n",
            "Content-Type: text/plain; text/xml\r\n",
            "Content-Type: text/plain, text/xml\r\n",
            "Content-Type: text/xmlx\r\n",
            "Content-Type: application/json\r\n",
            "Content-Type: \r\n",
            "Content-Type: text/plain\r\nContent-Type: text/xml\r\n",
        ] {
            assert_eq!(status(lines), 415, "{lines:?}");
        }
        for lines in [
            "Content-Type: text/xml\r\n",
            "content-type: Text/XML; charset=utf-8\r\n",
            "Content-Type: application/xml;charset=utf-8\r\n",
        ] {
            assert_eq!(status(lines), 200, "{lines:?}");
        }
    }
}

#[test]
fn no_answer_lets_a_page_of_another_origin_read_it_or_send_more() {
    for program in [server(&[]), binder(&[])] {
        for request in [
            registration("ana", "Host: localhost\r\nOrigin: http://evil.example\r\nContent-Type: text/xml\r\n"),
            registration("ana", "Host: localhost\r\nOrigin: null\r\nContent-Type: text/plain\r\n"),
            "OPTIONS / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\
             Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n"
                .to_owned(),
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n".to_owned(),
        ] {
            let answer = ask(&program, &request);
            assert!(!answer.head.to_ascii_lowercase().contains("access-control"), "{answer:?}");
            if request.starts_with("OPTIONS") {
                assert_eq!(answer.status, 405, "a question before the request gets no leave");
            }
        }
    }
}

#[test]
fn a_page_of_another_origin_opens_no_stream() {
    let server = server(&[]);
    for (site, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 404), ("none", 404)] {
        let request = format!(
            "GET /events?username=ana&room=lobby HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: {site}\r\n\r\n"
        );
        assert_eq!(ask(&server, &request).status, status, "{site}");
    }
}

#[test]
fn head_tells_the_length_of_what_get_gives() {
    let server = server(&[]);
    let ask = |method: &str| {
        let end = "Host: localhost\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n";
        ask(&server, &format!("{method} / HTTP/1.1\r\n{end}")).head
    };
    let length = |head: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix("Content-Length: ").map(str::to_owned));
        line.unwrap().parse::<usize>().unwrap()
    };
    assert_eq!(length(&ask("HEAD")), length(&ask("GET")));
    assert!(length(&ask("GET")) > 1000);
    assert!(ask("PUT").contains("Allow: GET, HEAD, POST\r\n"));
}

#[test]
fn a_foreign_name_in_host_is_refused_and_an_allowed_one_is_not() {
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let hostname = hostname.trim();
    let foreign = [
        "evil.example",
        "evil.example:9000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example.localhost.",
        "localhostx",
        "127.0.0.1x",
        "[::1.evil.example]",
        "chat.example.evil.example",
        "0x7f.1",
        "-",
        "",
    ];
    let own = [
        "localhost",
        "LOCALHOST:9000",
        "localhost.",
        "127.0.0.1",
        "127.0.0.1:9000",
        "192.0.2.7",
        "[::1]",
        "[2001:db8::1]:9000",
        hostname,
        &format!("{hostname}.local:9000"),
    ];
    let allowed = ["chat.example", "Chat.Example:80", "other.example."];
    for (options, extra) in [(&[][..], false), (&["--allow-host", "chat.example, other.example"], true)] {
        for program in [server(options), binder(options)] {
            let status = |host: &str| {
                ask(&program, &registration("ana", &format!("Host: {host}\r\nContent-Type: text/xml\r\n"))).status
            };
            for host in foreign {
                assert_eq!(status(host), 421, "{host:?}");
            }
            for host in own {
                assert_eq!(status(host), 200, "{host:?}");
            }
            for host in allowed {
                assert_eq!(status(host), if extra { 200 } else { 421 }, "{host:?}");
            }
            // For what is read by GET too.
            for path in ["/metrics", "/healthz", "/"] {
                let get = |host: &str| ask(&program, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).status;
                assert_eq!(get("evil.example"), 421);
                assert_ne!(get("localhost"), 421);
            }
            // Not even a client of HTTP/1.0 has to send one.
            let request = registration("bob", "Content-Type: text/xml\r\n").replace("HTTP/1.1", "HTTP/1.0");
            assert_eq!(ask(&program, &request).status, 200);
        }
    }
}

#[test]
fn a_target_in_absolute_form_is_served_and_its_host_is_the_one_that_counts() {
    for program in [server(&[]), binder(&[])] {
        let status = |target: &str, host: &str| {
            let lines = format!("Host: {host}\r\nContent-Type: text/xml\r\n");
            let request = registration("ana", &lines).replacen("POST / ", &format!("POST {target} "), 1);
            ask(&program, &request).status
        };
        for target in ["http://localhost/RPC2", "http://localhost:9000/", "HTTP://127.0.0.1", "http://[::1]/RPC2?x=y"] {
            assert_eq!(status(target, "evil.example"), 200, "{target}");
        }
        for target in ["http://evil.example/RPC2", "http://localhost@evil.example/", "http:///RPC2"] {
            assert_eq!(status(target, "localhost"), 421, "{target}");
        }
        assert_eq!(status("http://localhost/nowhere", "localhost"), 404);
        assert_eq!(status("/http://localhost/RPC2", "localhost"), 404);
    }
}

#[test]
fn what_is_smuggled_behind_an_ambiguous_length_is_never_done() {
    let [server, _] = [server(&[]), binder(&[])];
    let peer = Peer::open(&server);
    let hidden = registration("smuggled", "Host: localhost\r\nContent-Type: text/xml\r\n");
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n";
    let length = hidden.len();
    for outer in [
        // For one reader the call is the body, for the other it is the next request.
        format!("{head}Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", length + 5),
        format!("{head}Transfer-Encoding: chunked\r\nContent-Length: {}\r\n\r\n0\r\n\r\n", length + 5),
        format!("{head}Content-Length: 0\r\nContent-Length: {length}\r\n\r\n"),
        format!("{head}Content-Length: {length}\r\nContent-Length: 0\r\n\r\n"),
        format!("{head}Content-Length: 0, {length}\r\n\r\n"),
        format!("{head}Content-Length: +0\r\n\r\n"),
        format!("{head}Content-Length: 0x0\r\n\r\n"),
        format!("{head}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        format!("{head}Transfer-Encoding: identity\r\nContent-Length: {length}\r\n\r\n"),
        format!("{head}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n0 0\r\n\r\n"),
        format!("{head}X: y\r\n\r\n"),
        format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", 2000 + length),
    ] {
        let mut connection = Connection::open(server.address());
        connection.offer(outer.as_bytes());
        connection.offer(hidden.as_bytes());
        connection.end();
        // One whose body is not whole when it ends is not answered.
        if let Ok(answer) = connection.answer() {
            assert!((400..=501).contains(&answer.status), "{outer:?}: {answer:?}");
            assert!(answer.head.contains("Connection: close"), "{outer:?}: {answer:?}");
        }
        // What is left of a body that nobody reads is no request either.
        assert!(connection.answer().map_or(true, |second| second.status == 400), "{outer:?}: a second answer");
        peer.refused(Fault::NO_SUCH_USER, "unregister_user", &["smuggled".into()]);
    }
    // The same call by itself is fine.
    assert_eq!(ask(&server, &hidden).status, 200);
    peer.ok("unregister_user", &["smuggled".into()]);
}

#[test]
fn a_line_of_http_2_costs_no_more_than_its_own_connection() {
    for program in [server(&[]), binder(&[])] {
        let lines = ["PRI * HTTP/2.0", "GET / HTTP/2.0", "POST / HTTP/3.0"];
        let silent: Vec<_> = lines
            .map(|line| {
                let mut connection = Connection::open(program.address());
                connection.send(&format!("{line}\r\nHost: localhost\r\n\r\n"));
                connection
            })
            .into();
        for _ in 0..20 {
            Connection::open(program.address()).call("system.listMethods", &[]).unwrap();
        }
        drop(silent);
    }
}
