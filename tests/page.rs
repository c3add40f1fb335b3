//! The pages for browsers: how they are served.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

mod support;

use support::http::{Answer, Connection};
use support::{ANY_PORT, BINDER, Program, SERVER, python};

fn programs(options: &[&str]) -> [Program; 2] {
    let start = |line, own: &[&str]| Program::serve(line, &[&["--listen", ANY_PORT], own, options].concat());
    [start(SERVER, &["--no-binder"]), start(BINDER, &[])]
}

fn get(program: &Program, method: &str, lines: &str) -> Answer {
    let mut connection = Connection::open(program.address());
    connection.send(&format!("{method} / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}\r\n"));
    if method == "HEAD" {
        // It has no body, whatever its length says.
        connection.end();
    }
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
    for (program, part) in programs(&[]).iter().zip(["id=\"composer\"", "id=\"servers\""]) {
        let page = python(&format!("{CHECK}\n"), &[program.address()]);
        assert!(page.contains(part), "{page}");
    }
}

#[test]
fn both_pages_take_at_most_24_kb_of_the_programs() {
    let size = |program: &Program| get(program, "GET", "").body.len();
    let sizes = programs(&[]).each_ref().map(size);
    assert!(sizes.iter().all(|&size| size > 1000) && sizes.iter().sum::<usize>() <= 24 << 10, "{sizes:?}");
}

#[test]
fn a_page_goes_to_those_who_take_gzip_and_is_refused_to_others() {
    for program in programs(&[]) {
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
    for program in programs(&["--no-page"]) {
        assert_eq!(get(&program, "GET", "").status, 405);
        Connection::open(program.address()).call("system.listMethods", &[]).unwrap();
    }
}
