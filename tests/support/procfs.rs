//! Figures of a running program, from the system.

use std::fs;

/// Returns a number of `/proc/ID/status`: `Threads`, or `VmRSS` in KiB.
pub fn status(id: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{id}/status")).expect("the program runs");
    number(&text, name).expect("a number of a known name")
}

fn number(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Returns the number of its threads.
pub fn threads(id: u32) -> u64 {
    status(id, "Threads")
}

/// Returns the number of parts of its memory that it may write to and that have this size in bytes, as the stacks of threads have.
pub fn mappings(id: u32, size: usize) -> u64 {
    let maps = fs::read_to_string(format!("/proc/{id}/maps")).expect("the program runs");
    let address = |text: &str| usize::from_str_radix(text, 16).expect("an address");
    let sizes = maps.lines().filter(|line| line.contains(" rw-p ")).filter_map(|line| {
        let (start, rest) = line.split_once('-')?;
        Some(address(rest.split(' ').next()?) - address(start))
    });
    sizes.filter(|found| *found == size).count() as u64
}

/// Returns how often the threads that it has now have gone to sleep, and so have woken up.
pub fn sleeps(id: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{id}/task")).expect("the program runs");
    // A thread may end meanwhile.
    let status = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("status")).ok());
    status.filter_map(|status| number(&status, "voluntary_ctxt_switches")).sum()
}

/// Returns the number of descriptors that it has open.
pub fn descriptors(id: u32) -> usize {
    fs::read_dir(format!("/proc/{id}/fd")).expect("the program runs").count()
}
