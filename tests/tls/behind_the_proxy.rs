//! In front of server and binder, each with a certificate that the test makes.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::client;
use super::support::home::Home;
use super::support::http::metric;
use super::support::{ANY_PORT, Process, TIMEOUT, binder, eventually, send_lines, server, server_at};

const RECIPE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/nginx/chat-rpc.conf");

/// nginx before a program, with the recipe.
struct Proxy {
    _nginx: Process,
    url: String,
}

/// Returns whether nginx and openssl are there; says on standard error if the test is left out without them.
fn can_run() -> bool {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let missing: Vec<_> = [("nginx", "-v"), ("openssl", "version")]
        .into_iter()
        .filter(|(program, option)| Command::new(program).arg(option).output().is_err())
        .map(|(program, _)| program)
        .collect();
    if !missing.is_empty() {
        eprintln!("SKIPPED {test}: needs {}", missing.join(" and "));
    }
    missing.is_empty()
}

/// A free port; nobody else on this machine should take it before nginx does.
fn free_port() -> u16 {
    TcpListener::bind(ANY_PORT).unwrap().local_addr().unwrap().port()
}

/// Makes a certificate for `names`, which signs itself.
fn certificate(directory: &Path, names: &str) -> (PathBuf, PathBuf) {
    made(directory, names, "CA:FALSE")
}

fn made(directory: &Path, names: &str, constraint: &str) -> (PathBuf, PathBuf) {
    let (key, certificate) = (directory.join("key.pem"), directory.join("certificate.pem"));
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"])
        .args(["-addext", &format!("basicConstraints=critical,{constraint}")])
        .args(["-subj", "/CN=chat.example", "-addext", &format!("subjectAltName={names}")])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (key, certificate)
}

impl Proxy {
    /// Starts nginx on `port` in front of `upstream`.
    fn start(directory: &Path, port: u16, upstream: &str, (key, certificate): &(PathBuf, PathBuf)) -> Self {
        let recipe = fs::read_to_string(RECIPE).unwrap();
        let site = recipe
            .replace("listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl"))
            .replace("server 127.0.0.1:9000", &format!("server {upstream}"))
            .replace("/etc/ssl/certs/chat.example.pem", certificate.to_str().unwrap())
            .replace("/etc/ssl/private/chat.example.key", key.to_str().unwrap());
        let work = directory.join(port.to_string());
        fs::create_dir(&work).unwrap();
        let at = work.display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|what| format!("    {what}_temp_path {at}/{what};\n"))
            .collect();
        let config = format!(
            "pid {at}/pid;\nerror_log {at}/error.log;\nevents {{}}\nhttp {{\n    access_log off;\n{temporary}{site}\n}}\n"
        );
        fs::write(work.join("nginx.conf"), config).unwrap();
        let (log, config) = (format!("{at}/error.log"), format!("{at}/nginx.conf"));
        let nginx = Process::start(&["nginx", "-e", &log, "-c", &config], &["-g", "daemon off; master_process off;"]);
        eventually("nginx listens", TIMEOUT, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { _nginx: nginx, url: format!("https://127.0.0.1:{port}") }
    }
}

#[test]
fn a_chat_goes_through_the_proxy() {
    if !can_run() {
        return;
    }
    let (home, other) = (Home::new(), Home::new());
    let files = certificate(&home.0, "DNS:chat.example,IP:127.0.0.1");
    let trusted = files.1.to_str().unwrap();
    let server = server(&["--require-auth"]);
    let proxy = Proxy::start(&home.0, free_port(), server.address(), &files);
    let place = ["--server", &proxy.url, "--ca-file", trusted, "--room", "lobby"];
    let mut ana = client(&home, &[&place[..], &["--user", "ana"]].concat());
    ana.stderr.wait_for_line("Joined lobby", TIMEOUT);
    let mut bob = client(&other, &[&place[..], &["--user", "bob"]].concat());
    bob.stderr.wait_for_line("Joined lobby. Also here: ana", TIMEOUT);
    send_lines(&mut ana, &["through the proxy"]);
    bob.stdout.wait_for_line("through the proxy", TIMEOUT);
    // Both hear by streams of events, which the proxy passes on.
    eventually("two streams are open", TIMEOUT, || metric(&server, "chat_streams") == 2);
    // More than one record of TLS.
    let long = "x".repeat(4000);
    send_lines(&mut bob, &[&long, "and back"]);
    ana.stdout.wait_for_line(&long, TIMEOUT);
    ana.stdout.wait_for_line("and back", TIMEOUT);
}

#[test]
fn a_server_behind_a_binder_with_tls_is_reached_by_tls_too() {
    if !can_run() {
        return;
    }
    let home = Home::new();
    let files = certificate(&home.0, "IP:127.0.0.1");
    let binder = binder(&[]);
    let port = free_port();
    let server = server_at(&binder, &["--require-auth", "--advertise", &format!("127.0.0.1:{port}")]);
    let _before_server = Proxy::start(&home.0, port, server.address(), &files);
    let before_binder = Proxy::start(&home.0, free_port(), binder.address(), &files);
    server.stderr.wait_for_line("registered at the binder", TIMEOUT);
    let options =
        ["--binder", &before_binder.url, "--ca-file", files.1.to_str().unwrap(), "--user", "ana", "--room", "lobby"];
    let ana = client(&home, &options);
    ana.stderr.wait_for_line("Joined lobby", TIMEOUT);
}

#[test]
fn whoever_has_no_trusted_certificate_for_the_name_is_told_nothing() {
    if !can_run() {
        return;
    }
    let (home, other) = (Home::new(), Home::new());
    let files = certificate(&home.0, "DNS:chat.example,IP:127.0.0.1");
    let stranger = certificate(&other.0, "DNS:chat.example,IP:127.0.0.1");
    let server = server(&["--require-auth"]);
    let proxy = Proxy::start(&home.0, free_port(), server.address(), &files);
    let by_name = proxy.url.replace("127.0.0.1", "localhost");
    let plain = format!("https://{}", server.address());
    for (url, trusted, part) in [
        (&proxy.url, None, "certificate"),
        (&proxy.url, Some(&stranger.1), "certificate"),
        (&by_name, Some(&files.1), "certificate"),
        (&plain, Some(&files.1), "no TLS with 127.0.0.1"),
    ] {
        let mut options = vec!["--server", url, "--user", "ana"];
        options.extend(trusted.iter().flat_map(|file| ["--ca-file", file.to_str().unwrap()]));
        let mut client = client(&home, &options);
        assert_eq!(client.wait_exit(TIMEOUT).code(), Some(1), "{url}");
        let said = client.stderr.lines();
        let [line] = &said[..] else { panic!("{said:?}") };
        assert!(line.contains(part), "{line}");
    }
    let mut misled = client(&home, &["--server", &proxy.url, "--ca-file", "/dev/null", "--user", "ana"]);
    assert_eq!(misled.wait_exit(TIMEOUT).code(), Some(1));
    misled.stderr.wait_for_line("/dev/null: it must have a certificate", TIMEOUT);

    // What openssl makes if it is not told otherwise.
    let third = Home::new();
    let authority = made(&third.0, "IP:127.0.0.1", "CA:TRUE");
    let proxy = Proxy::start(&other.0, free_port(), server.address(), &authority);
    let trusted = authority.1.to_str().unwrap();
    let mut client = client(&home, &["--server", &proxy.url, "--ca-file", trusted, "--user", "ana"]);
    assert_eq!(client.wait_exit(TIMEOUT).code(), Some(1));
    client.stderr.wait_for_line("basicConstraints=critical,CA:FALSE", TIMEOUT);
}
