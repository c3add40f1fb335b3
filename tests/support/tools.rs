//! The tools of the machine that tests need. `cargo test` passes without them and says what it leaves out; in CI, where
//! `CI` is `true`, a missing one fails the test.

use std::env;
use std::io::{self, Write as _};
use std::path::Path;
use std::thread;

/// Ends the test unless one of these programs is installed.
#[allow(unused_macros)]
macro_rules! needs {
    ($($program:literal)|+) => {
        if $crate::support::tools::installed(&[$($program),+]).is_none() {
            return;
        }
    };
}
#[allow(unused_imports)]
pub(crate) use needs;

/// Returns the first of `programs` that is on the PATH. Without one it says that the test is left out.
#[track_caller]
pub fn installed<'a>(programs: &[&'a str]) -> Option<&'a str> {
    let folders: Vec<_> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    let found = programs.iter().copied().find(|program| folders.iter().any(|folder| folder.join(program).is_file()));
    if found.is_none() {
        missing(&programs.join(" or "));
    }
    found
}

/// Returns whether `path` is there, which `command` makes. Without it, it says that the test is left out.
#[track_caller]
pub fn is_made(path: &Path, command: &str) -> bool {
    if !path.exists() {
        missing(command);
    }
    path.exists()
}

#[track_caller]
fn missing(what: &str) {
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{} needs {what}", test());
    left_out(what);
}

/// Says that the test is left out for want of this, where a person sees it: the harness swallows what `eprintln!` prints.
pub fn left_out(what: &str) {
    let _ = writeln!(io::stderr(), "LEFT OUT {}: needs {what}", test());
}

fn test() -> String {
    thread::current().name().unwrap_or("a test").to_owned()
}
