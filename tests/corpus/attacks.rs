//! The attacks by documents and by HTTP, and the outcome that each must have.

use std::fmt::Write as _;
use std::path::Path;

/// A call that every server answers.
const LIST_METHODS: &str = "<methodCall><methodName>system.listMethods</methodName></methodCall>";
/// The outcome that an attack must have.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    Fault(i32),
    Status(u16),
    /// The connection is closed without an answer when the peer ends it.
    Closed,
}
use Outcome::{Closed, Fault, Status};

pub(crate) struct Attack {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) outcome: Outcome,
    /// If the peer says that nothing more comes, instead of being silent.
    pub(crate) ends: bool,
}

fn attack(name: impl Into<String>, bytes: impl Into<Vec<u8>>, outcome: Outcome) -> Attack {
    Attack { name: name.into(), bytes: bytes.into(), outcome, ends: matches!(outcome, Closed) }
}

/// A request that posts these bytes.
fn posted(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A well-formed call with this XML in the place of its one parameter's `<value>`.
fn document(value: &str) -> String {
    format!(
        "<methodCall><methodName>system.methodHelp</methodName><params><param>{value}</param></params></methodCall>"
    )
}

/// Documents.
pub(crate) fn by_xml() -> Vec<Attack> {
    let mut attacks = Vec::new();
    let mut add = |name: &str, body: &[u8], code: i32| {
        attacks.push(attack(name, posted(body), Fault(code)));
    };

    let mut bomb = String::from("<?xml version=\"1.0\"?><!DOCTYPE b [<!ENTITY a0 \"ha\">");
    for level in 1..=30 {
        let _ = write!(bomb, "<!ENTITY a{level} \"&a{};&a{};\">", level - 1, level - 1);
    }
    add("entities that double 30 times", format!("{bomb}]>{}", document("<value>&a30;</value>")).as_bytes(), -32700);
    let long = format!("<!DOCTYPE b [<!ENTITY a \"{}\">]>", "a".repeat(30_000));
    let all = document(&format!("<value>{}</value>", "&a;".repeat(10_000)));
    add("a long entity many times", format!("{long}{all}").as_bytes(), -32700);
    let parameters =
        "<!DOCTYPE b [<!ENTITY % a \"xxxxxxxxxx\"><!ENTITY % b \"%a;%a;%a;%a;\"><!ENTITY % c '%b;%b;%b;%b;'>%c;]>";
    add("parameter entities", format!("{parameters}{LIST_METHODS}").as_bytes(), -32700);
    let external = "<!DOCTYPE b [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>";
    add("an external entity", format!("{external}{}", document("<value>&a;</value>")).as_bytes(), -32700);
    add("DOCTYPE", format!("<!DOCTYPE methodCall>{LIST_METHODS}").as_bytes(), -32700);
    add("DOCTYPE without an end", format!("<!DOCTYPE {}", "[<!-- ".repeat(9000)).as_bytes(), -32700);

    let nested = |depth: usize| {
        let (open, close) = ("<value><array><data>", "</data></array></value>");
        document(&format!("{}{}", open.repeat(depth), close.repeat(depth)))
    };
    // The value is the fourth element, and each array adds three.
    add("nesting one past 64", nested(21).as_bytes(), 8);
    add("nesting of 1,400 arrays", nested(1400).as_bytes(), 8);
    add("nesting without an end", document(&"<value><array><data>".repeat(3000)).as_bytes(), 8);
    add("nesting of unknown elements", format!("<methodCall>{}", "<a>".repeat(20_000)).as_bytes(), -32600);
    add(
        "10,001 elements",
        document(&format!("<value><array><data>{}</data></array></value>", "<value/>".repeat(7900))).as_bytes(),
        -32602,
    );
    add("a comment of 60 KB that does not end", format!("<!-- {}", "-".repeat(60_000)).as_bytes(), -32700);
    add("CDATA that does not end", document(&format!("<value><![CDATA[{}", "]]".repeat(30_000))).as_bytes(), -32700);
    let instructions = "<?a b?>".repeat(9000);
    add("9,000 processing instructions", format!("{instructions}<nothing/>").as_bytes(), -32600);
    let attributes = (0..4000).fold(String::new(), |mut text, number| {
        let _ = write!(text, " a{number}='1'");
        text
    });
    add("4,000 attributes", format!("<methodCall{attributes}></methodCall>").as_bytes(), -32700);
    let spaces = (0..500).fold(String::new(), |mut text, number| {
        let _ = write!(text, " xmlns:a{number}='u'");
        text
    });
    let values = "<value><int>1</int></value>".repeat(1500);
    add(
        "namespaces on every element",
        format!("<methodCall{spaces}><methodName>x</methodName><params><param><value><array><data>{values}").as_bytes(),
        8,
    );
    add("an element name of 60 KB", format!("<{}/>", "a".repeat(60_000)).as_bytes(), -32700);
    add("an attribute of 60 KB", format!("<methodCall a='{}'/>", "a".repeat(60_000)).as_bytes(), -32700);

    let digits = "9".repeat(60_000);
    add("an int of 60,000 digits", document(&format!("<value><int>{digits}</int></value>")).as_bytes(), 8);
    add("an i8 past 64 bits", document("<value><i8>9223372036854775808</i8></value>").as_bytes(), 8);
    add("a double of 60,000 digits", document(&format!("<value><double>{digits}</double></value>")).as_bytes(), 8);
    add("a double past all bounds", document("<value><double>1e999999999</double></value>").as_bytes(), 8);
    add(
        "base64 of 60 KB that is none",
        document(&format!("<value><base64>{}*</base64></value>", "A".repeat(60_000))).as_bytes(),
        -32600,
    );
    add(
        "a date of 60 KB",
        document(&format!("<value><dateTime.iso8601>{digits}</dateTime.iso8601></value>")).as_bytes(),
        -32600,
    );
    let method = "a".repeat(60_000);
    add(
        "a method name of 60 KB",
        format!("<methodCall><methodName>{method}</methodName></methodCall>").as_bytes(),
        -32601,
    );
    add("a parameter of 60 KB", document(&format!("<value>{method}</value>")).as_bytes(), -32601);

    for (name, bytes) in [
        ("invalid UTF-8", &b"\xff\xfe\xfd"[..]),
        ("overlong UTF-8", b"\xc0\xbc"),
        ("a surrogate in UTF-8", b"\xed\xa0\x80"),
        ("UTF-8 past U+10FFFF", b"\xf4\x90\x80\x80"),
        ("UTF-8 cut off", b"\xe2\x82"),
        ("NUL", b"\0"),
        ("an escape character", b"\x1b[2J"),
        ("U+FFFE", b"\xef\xbf\xbe"),
        ("a reference to NUL", b"&#0;"),
        ("a reference to an escape character", b"&#x1b;"),
        ("a reference to a surrogate", b"&#xD800;"),
        ("a reference past all bounds", b"&#99999999999999999999;"),
        ("an unknown entity", b"&nbsp;"),
        ("a bare ampersand", b"& "),
    ] {
        let text = document("<value>@</value>");
        let (before, after) = text.split_once('@').unwrap();
        add(name, &[before.as_bytes(), bytes, after.as_bytes()].concat(), -32700);
    }
    for encoding in ["utf-7", "utf-32", "windows-1252", "ebcdic-cp-us", &"x".repeat(10_000)] {
        let body = format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?>{LIST_METHODS}");
        add(&format!("the encoding {encoding:.20}"), body.as_bytes(), -32700);
    }

    let calls = |count: usize, method: &str| {
        let call =
            format!("<value><struct><member><name>methodName</name><value>{method}</value></member></struct></value>");
        format!(
            "<methodCall><methodName>system.multicall</methodName><params><param><value><array><data>{}</data></array>\
             </value></param></params></methodCall>",
            call.repeat(count)
        )
    };
    add("101 calls in a multicall", calls(101, "system.listMethods").as_bytes(), 8);
    attacks.push(attack(
        "100 of the longest answers in a multicall",
        posted(calls(100, "system.getCapabilities")),
        Status(200),
    ));
    attacks.push(attack("100 multicalls in a multicall", posted(calls(100, "system.multicall")), Status(200)));

    let refused = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/refused");
    for entry in refused.read_dir().unwrap() {
        let path = entry.unwrap().path();
        attacks.push(attack(path.display().to_string(), posted(std::fs::read(&path).unwrap()), Status(200)));
    }
    attacks
}

/// Requests.
pub(crate) fn by_http() -> Vec<Attack> {
    let mut attacks = Vec::new();
    let mut add = |name: &str, bytes: &[u8], outcome| attacks.push(attack(name, bytes, outcome));
    let head =
        |lines: &str| format!("POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n{lines}\r\n\r\n");
    let request = |lines: &str, body: &str| format!("{}{body}", head(lines)).into_bytes();
    let length = LIST_METHODS.len();

    add(
        "a Content-Length that is too short",
        &request(&format!("Content-Length: {}", length - 1), LIST_METHODS),
        Fault(-32700),
    );
    add("a Content-Length of 0", &request("Content-Length: 0", LIST_METHODS), Fault(-32700));
    add(
        "a Content-Length that is too long",
        &request(&format!("Content-Length: {}", length + 1), LIST_METHODS),
        Closed,
    );
    add("a longer Content-Length that is too long", &request("Content-Length: 2000", LIST_METHODS), Status(408));
    for value in ["-1", "0x51", "81 81", "81, 81", "81.0", "8e1", "", "abc"] {
        add(
            &format!("a Content-Length of {value:?}"),
            &request(&format!("Content-Length: {value}"), LIST_METHODS),
            Status(400),
        );
    }
    for value in [
        "65537",
        "16777216",
        "16777217",
        "1099511627776",
        "4611686018427387904",
        "9223372036854775807",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999",
    ] {
        add(
            &format!("a Content-Length of {value}"),
            &request(&format!("Content-Length: {value}"), LIST_METHODS),
            Status(413),
        );
        for path in ["/healthz", "/metrics"] {
            let bytes = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {value}\r\n\r\n");
            add(&format!("{path} with a Content-Length of {value}"), bytes.as_bytes(), Status(413));
        }
        let bytes = format!("GET /nothing HTTP/1.1\r\nHost: evil.example\r\nContent-Length: {value}\r\n\r\n");
        add(&format!("a foreign host with a Content-Length of {value}"), bytes.as_bytes(), Status(413));
    }
    add("a Content-Length with a sign", &request(&format!("Content-Length: +{length}"), LIST_METHODS), Status(400));
    add("no length", &request("X: y", LIST_METHODS), Status(411));

    let both = format!("Content-Length: {length}\r\nTransfer-Encoding: chunked");
    add("Content-Length and Transfer-Encoding", &request(&both, "0\r\n\r\n"), Status(400));
    let both = format!("Transfer-Encoding: chunked\r\nContent-Length: {length}");
    add("Transfer-Encoding and Content-Length", &request(&both, "0\r\n\r\n"), Status(400));
    let twice = format!("Content-Length: {length}\r\nContent-Length: {length}");
    add("two equal lengths", &request(&twice, LIST_METHODS), Status(400));
    let twice = format!("Content-Length: {length}\r\nContent-Length: 5");
    add("two different lengths", &request(&twice, LIST_METHODS), Status(400));
    add(
        "two Transfer-Encodings",
        &request("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        Status(400),
    );
    // CVE-2026-66752: tiny_http takes any of them for chunked.
    for coding in ["gzip", "identity", "gzip, chunked", "chunked, chunked", "xchunked", "\"chunked\"", ""] {
        add(
            &format!("the Transfer-Encoding {coding:?}"),
            &request(&format!("Transfer-Encoding: {coding}"), "0\r\n\r\n"),
            Status(501),
        );
    }
    let folded = format!("X: y\r\n Content-Length: 5\r\nContent-Length: {length}");
    add("a length in a folded line beside another", &request(&folded, LIST_METHODS), Status(400));
    let spaced = format!("Content-Length : {length}");
    add("a space before the colon", &request(&spaced, LIST_METHODS), Status(400));
    add("a header without a colon", &request("nonsense", LIST_METHODS), Status(400));

    for size in ["zz", "-1", "0x5", "FFFFFFFFFFFFFFFFF", "", "5 5"] {
        add(
            &format!("the chunk size {size:?}"),
            &request("Transfer-Encoding: chunked", &format!("{size}\r\nhello\r\n0\r\n\r\n")),
            Status(400),
        );
    }
    add("a chunk without an end", &request("Transfer-Encoding: chunked", "5\r\nhelloXX0\r\n\r\n"), Status(400));
    let much = "x".repeat(70_000);
    add(
        "a chunk past all bounds",
        &request("Transfer-Encoding: chunked", &format!("FFFFFFFFFFFFFFFF\r\n{much}")),
        Status(413),
    );
    let chunks = "1000\r\n".to_owned() + &"x".repeat(4096) + "\r\n";
    add("chunks past the limit", &request("Transfer-Encoding: chunked", &chunks.repeat(17)), Status(413));
    let chunks = "1\r\nx\r\n".repeat(65_537);
    add("small chunks past the limit", &request("Transfer-Encoding: chunked", &chunks), Status(413));
    add("a chunk that does not come", &request("Transfer-Encoding: chunked", "5\r\nhe"), Status(408));

    add("a body over the limit", &posted("x".repeat(65_537)), Status(413));
    add("a body at the limit", &posted("x".repeat(65_536)), Fault(-32700));
    add(
        "an unknown expectation",
        &request(&format!("Expect: 200-ok\r\nContent-Length: {length}"), LIST_METHODS),
        Status(417),
    );
    add(
        "an expectation",
        &request(&format!("Expect: 100-continue\r\nContent-Length: {length}"), LIST_METHODS),
        Status(200),
    );
    add("an expectation over the limit", &request("Expect: 100-continue\r\nContent-Length: 65537", ""), Status(413));
    add(
        "an expectation past all bounds",
        &request("Expect: 100-continue\r\nContent-Length: 4611686018427387904", ""),
        Status(413),
    );
    add("an expectation without a body", &request("Expect: 100-continue\r\nContent-Length: 10", ""), Status(408));
    add("an upgrade without a body", &request("Connection: upgrade\r\nContent-Length: 10", ""), Status(408));
    add(
        "an upgrade past all bounds",
        &request("Connection: upgrade\r\nContent-Length: 4611686018427387904", ""),
        Status(413),
    );
    add(
        "an upgrade with chunks",
        &request("Connection: upgrade\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        Fault(-32700),
    );

    for method in
        ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "post", "EVIL", &"M".repeat(10_000)]
    {
        let bytes = format!("{method} /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        add(&format!("the method {method:.20}"), bytes.as_bytes(), Status(405));
    }
    for path in ["/nothing", "//RPC2", "/RPC2/", "/../etc/passwd", "http://localhost/nothing", "*"] {
        let bytes = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        add(&format!("the path {path:.20}"), bytes.as_bytes(), Status(404));
    }
    let elsewhere = b"POST http://evil.example/RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    add("a target on another host than the header's", elsewhere, Status(421));
    for line in [
        "GET /",
        "POST /RPC2",
        "POST /RPC2 HTTP/1",
        "POST /RPC2 http/1.1",
        "POST /RPC2 HTTP/11",
        "POST",
        "",
        " ",
        "POST\t/RPC2\tHTTP/1.1",
        "POST  HTTP/1.1",
        "POST /\0 HTTP/1.1",
        "A\0B /RPC2 HTTP/1.1",
    ] {
        add(&format!("the line {line:?}"), format!("{line}\r\nHost: localhost\r\n\r\n").as_bytes(), Status(400));
    }
    for version in ["0.9", "1.2", "2.0", "3.0"] {
        let bytes = format!("POST /RPC2 HTTP/{version}\r\nHost: localhost\r\n\r\n");
        add(&format!("HTTP/{version}"), bytes.as_bytes(), Status(505));
    }
    add("line feeds alone", head("Content-Length: 0").replace('\r', "").as_bytes(), Status(400));
    add("carriage returns alone", head("Content-Length: 0").replace('\n', "").as_bytes(), Closed);
    add("a head without an end", b"POST /RPC2 HTTP/1.1\r\nHost: local", Status(408));
    add("a header beyond ASCII", &[b"POST /RPC2 HTTP/1.1\r\nX: \xff", &b"\r\n\r\n"[..]].concat(), Status(400));
    add("NUL in a header", &request(&format!("X: a\0b\r\nContent-Length: {length}"), LIST_METHODS), Status(400));
    // CVE-2026-66753: they pass in tiny_http's header values.
    for (name, line) in [("CR in a header", "X: a\rSet-Cookie: b"), ("LF in a header", "X: a\nSet-Cookie: b")] {
        add(name, &request(&format!("{line}\r\nContent-Length: {length}"), LIST_METHODS), Status(400));
    }
    for (name, lines) in [
        ("a header of 64 KB", format!("X: {much}")),
        ("credentials of 64 KB", format!("Authorization: Basic {}", "QUFB".repeat(16_384))),
        ("101 headers", "X: y\r\n".repeat(98) + "X: y"),
        ("5,000 headers", "X: y\r\n".repeat(4998) + "X: y"),
    ] {
        add(name, &request(&format!("{lines}\r\nContent-Length: {length}"), LIST_METHODS), Status(431));
    }
    let lines = "X: y\r\n".repeat(97);
    add("100 headers", &request(&format!("{lines}Content-Length: {length}"), LIST_METHODS), Status(200));
    let path = format!("POST /{much} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    add("a path of 70 KB", path.as_bytes(), Status(431));
    add("the beginning of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", Status(400));
    add("nothing", b"", Closed);
    add("two hosts", &request(&format!("Host: evil.example\r\nContent-Length: {length}"), LIST_METHODS), Status(400));
    attacks
}
