//! What the system says about a running program.

use std::fs;

/// A number of `/proc/ID/status`: `Threads`, or `VmRSS` in KiB.
pub fn status(id: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{id}/status")).expect("the program runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect("a known name");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

/// How many threads it has.
pub fn threads(id: u32) -> u64 {
    status(id, "Threads")
}

/// How often its threads have gone to sleep, and so have woken up.
pub fn sleeps(id: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{id}/task")).expect("the program runs");
    let of_thread = |thread: String| {
        let text = fs::read_to_string(format!("/proc/{id}/task/{thread}/status")).unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok());
        count.unwrap_or(0u64)
    };
    threads.map(|thread| of_thread(thread.unwrap().file_name().into_string().unwrap())).sum()
}

/// How many descriptors it has open.
pub fn descriptors(id: u32) -> usize {
    fs::read_dir(format!("/proc/{id}/fd")).expect("the program runs").count()
}
