//! The pages for browsers: how they are served, and, in a browser, what people see of a chat.
//!
//! The second part needs Chromium, Node.js and what `npm ci --prefix tests/page` installs; a test says so where they are missing,
//! and fails there if `CI` is `true`. Its scripts are in `tests/page`, one for each test.

#![cfg(feature = "page")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "what fails here fails a test")]

#[path = "corpus/terminal.rs"]
mod corpus;
mod support;

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use support::http::{Answer, Connection};
use support::tools::{installed, is_made, needs};
use support::{BINDER, CLIENT, Process, SERVER, binder, python, server};

fn get(program: &Process, method: &str, lines: &str) -> Answer {
    let mut connection = Connection::open(program.address());
    connection.send(&format!("{method} / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}\r\n"));
    connection.answer().unwrap()
}

/// Prints the page's text after its Content-Security-Policy was held against it.
const CHECK: &str = r#"
import base64, gzip, hashlib, http.client, re, sys
connection = http.client.HTTPConnection(sys.argv[1])
connection.request("GET", "/", headers={"Accept-Encoding": "gzip, deflate, br"})
answer = connection.getresponse()
assert answer.status == 200, answer.status
page = gzip.decompress(answer.read()).decode()
policy = answer.headers["Content-Security-Policy"]
for tag, directive in (("style", "style-src"), ("script", "script-src")):
    texts = re.findall(f"<{tag}[^>]*>(.*?)</{tag}>", page, re.S)
    assert len(texts) == 1, (tag, len(texts))
    digest = base64.b64encode(hashlib.sha256(texts[0].encode()).digest()).decode()
    assert f"{directive} 'sha256-{digest}';" in policy, (directive, digest, policy)
for word in ("unsafe", "http:", "https:", "*"):
    assert word not in policy, policy
for part in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'"):
    assert part in policy, (part, policy)
assert answer.headers["X-Content-Type-Options"] == "nosniff"
assert answer.headers["Referrer-Policy"] == "no-referrer"
assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
assert re.findall(r'<link[^>]*href="([^:"]*)', page) == ["data"], "one request is all"
assert not re.search(r"\bsrc=|@import|url\(|innerHTML|<[^>]*\s(on\w+|style)=", page)
print(page)
"#;

#[test]
fn a_page_is_one_document_whose_policy_allows_nothing_else() {
    needs!("python3");
    for (program, part) in [server(&[]), binder(&[])].iter().zip(["id=\"composer\"", "id=\"servers\""]) {
        let page = python(&format!("{CHECK}\n"), &[program.address()]);
        assert!(page.contains(part), "{page}");
    }
}

#[test]
fn both_pages_take_at_most_24_kb_of_the_programs() {
    let size = |program: &Process| get(program, "GET", "").body.len();
    let sizes = [server(&[]), binder(&[])].each_ref().map(size);
    assert!(sizes.iter().all(|&size| size > 1000) && sizes.iter().sum::<usize>() <= 24 << 10, "{sizes:?}");
}

#[test]
fn a_page_goes_to_those_who_take_gzip_and_is_refused_to_others() {
    for program in [server(&[]), binder(&[])] {
        for (lines, status) in [
            ("", 200),
            ("Accept-Encoding: gzip, deflate\r\n", 200),
            ("Accept-Encoding: *\r\n", 200),
            ("Accept-Encoding: identity\r\n", 406),
            ("Accept-Encoding: br, gzip;q=0\r\n", 406),
        ] {
            let answer = get(&program, "GET", lines);
            assert_eq!(answer.status, status, "{lines:?}");
            assert_eq!(answer.head.contains("Content-Encoding: gzip"), status == 200, "{lines:?}");
        }
        assert_eq!(get(&program, "HEAD", "").status, 200);
        assert_eq!(get(&program, "PUT", "Content-Length: 0\r\n").status, 405);
        assert_eq!(get(&program, "GET", "Host: evil.example\r\n").status, 400, "two hosts");
    }
}

#[test]
fn without_pages_get_is_refused_and_calls_go_on() {
    for program in [server(&["--no-page"]), binder(&["--no-page"])] {
        assert_eq!(get(&program, "GET", "").status, 405);
        Connection::open(program.address()).call("system.listMethods", &[]).unwrap();
    }
}

#[test]
fn two_pages_and_a_terminal_talk() {
    in_a_browser("conversation", &[], "");
}

#[test]
fn what_is_typed_in_an_outage_comes_once_and_so_does_what_others_say() {
    in_a_browser("outage", &[], "");
}

#[test]
fn what_is_written_is_read_and_does_nothing() {
    let attacks =
        corpus::ATTACKS.iter().map(|(what, text, shown)| format!("[{}]", [what, text, shown].map(json).join(",")));
    in_a_browser("harmless", &[], &format!("[{}]", attacks.collect::<Vec<_>>().join(",")));
}

#[test]
fn ten_thousand_messages_are_scrolled_through_in_a_small_document() {
    in_a_browser("many", &[], "");
}

#[test]
fn the_pages_are_for_everybody() {
    in_a_browser("access", &[], "");
}

#[test]
fn the_list_of_servers_is_true_and_harmless() {
    in_a_browser("binder", &[], "");
}

/// One browser at a time is enough for two processors.
static BROWSER: Mutex<()> = Mutex::new(());

/// Runs `tests/page/NAME.mjs` with the paths of the programs in its environment, and gives it a line to read.
#[track_caller]
fn in_a_browser(name: &str, environment: &[&str], line: &str) {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page");
    let tools = [installed(&["chromium"]).is_some(), installed(&["node"]).is_some()];
    if tools.contains(&false) || !is_made(&scripts.join("node_modules/playwright-core"), "npm ci --prefix tests/page") {
        return;
    }
    let _one = BROWSER.lock().unwrap_or_else(PoisonError::into_inner);
    let programs =
        [("BINDER", BINDER), ("SERVER", SERVER), ("CLIENT", CLIENT)].map(|(name, line)| format!("{name}={}", line[0]));
    let script = scripts.join(format!("{name}.mjs"));
    let arguments = programs.iter().map(String::as_str).chain(environment.iter().copied());
    let mut node = Process::start(&["env"], &arguments.chain(["node", script.to_str().unwrap()]).collect::<Vec<_>>());
    node.send_line(line);
    assert!(node.wait_exit(Duration::from_secs(180)).success(), "{name}");
}

/// A text as JSON, all of it in escapes.
fn json(text: &&str) -> String {
    format!("\"{}\"", text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>())
}
