//! Puts each page of `src/page` together, compresses it, and writes the headers it is sent with.
//!
//! A page is one document, so that a browser needs one request: styles and scripts become part of it, and the
//! Content-Security-Policy names the hash of each, so that nothing else can run or style. Sources stay what an editor and a linter
//! know: in a page `<link rel="stylesheet" href="FILE">` and `<script type="module" src="FILE">` say what it consists of. The
//! modules of a page become one, in the order of its lines, without their imports and exports.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

const SOURCES: &str = "src/page";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={SOURCES}");
    if env::var_os("CARGO_FEATURE_PAGE").is_none() {
        return Ok(());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    for page in ["chat", "binder"] {
        let Page { html, headers } = assemble(Path::new(SOURCES), page);
        fs::write(out.join(format!("{page}.html.gz")), gzip(html.as_bytes())?)?;
        fs::write(out.join(format!("{page}.headers")), headers)?;
    }
    Ok(())
}

struct Page {
    html: String,
    headers: String,
}

fn assemble(sources: &Path, page: &str) -> Page {
    let read =
        |name: &str| fs::read_to_string(sources.join(name)).unwrap_or_else(|error| panic!("{SOURCES}/{name}: {error}"));
    let (mut html, mut style, mut script) = (String::new(), String::new(), String::new());
    for line in read(&format!("{page}.html")).lines().map(str::trim) {
        if let Some(name) = between(line, "<link rel=\"stylesheet\" href=\"", "\"") {
            style.push_str(&without_comments(&read(name)));
        } else if let Some(name) = between(line, "<script type=\"module\" src=\"", "\"") {
            script.push_str(&without_comments(&without_modules(&read(name))));
        } else if line == "</head>" {
            let _ = writeln!(html, "<style>{style}</style>\n{line}");
        } else if line == "</body>" {
            let _ = writeln!(html, "<script type=\"module\">{script}</script>\n{line}");
        } else {
            let _ = writeln!(html, "{line}");
        }
    }
    assert!(!script.contains("</script") && !style.contains("</style"), "{page}: its end would come too early");
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types xml-rpc",
        hash(&script),
        hash(&style)
    );
    let headers = [
        ("Content-Encoding", "gzip"),
        ("Vary", "Accept-Encoding"),
        ("Cache-Control", "no-cache"),
        ("Content-Security-Policy", &policy),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
    ];
    Page { html, headers: headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect() }
}

fn between<'a>(line: &'a str, start: &str, end: &str) -> Option<&'a str> {
    line.strip_prefix(start)?.split(end).next()
}

/// A module without its imports, and its exports without the word.
fn without_modules(source: &str) -> String {
    let mut text = String::new();
    let mut importing = false;
    for line in source.lines() {
        importing |= line.starts_with("import ");
        if !importing {
            let _ = writeln!(text, "{}", line.strip_prefix("export ").unwrap_or(line));
        }
        importing &= !line.contains(" from \"");
    }
    text
}

/// Without the lines that are only a comment, and without indentation. Neither language has it in a text here.
fn without_comments(source: &str) -> String {
    let mut text = String::new();
    let mut commenting = false;
    for line in source.lines().map(str::trim) {
        commenting |= line.starts_with("/*");
        if !commenting && !line.is_empty() && !line.starts_with("//") {
            let _ = writeln!(text, "{line}");
        }
        commenting &= !line.ends_with("*/");
    }
    text
}

/// A source of the Content-Security-Policy (CSP Level 3, section 2.3.1).
fn hash(text: &str) -> String {
    use base64ct::Encoding as _;
    use sha2::Digest as _;
    format!("sha256-{}", base64ct::Base64::encode_string(&sha2::Sha256::digest(text)))
}

/// Without a name or a time, so that the same sources make the same bytes.
fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    zopfli::compress(zopfli::Options::default(), zopfli::Format::Gzip, bytes, &mut out)?;
    Ok(out)
}
