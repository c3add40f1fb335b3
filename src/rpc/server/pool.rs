//! Threads for jobs that may block: as many as there are such jobs at a time, up to a bound, and none when there are none.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use log::debug;
use parking_lot::{Condvar, Mutex};

/// How long a thread without a job stays.
const LINGER: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce() + Send>;

/// A queue of jobs and the threads that take from it. Jobs beyond `max_threads` wait for one to end.
pub(super) struct Pool {
    name: &'static str,
    max_threads: usize,
    state: Arc<(Mutex<Queue>, Condvar)>,
}

#[derive(Default)]
struct Queue {
    queue: VecDeque<Job>,
    idle: usize,
    threads: usize,
}

impl Pool {
    pub(super) fn new(name: &'static str, max_threads: usize) -> Self {
        Self { name, max_threads, state: Arc::default() }
    }

    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) {
        let (mutex, condvar) = &*self.state;
        let mut state = mutex.lock();
        state.queue.push_back(Box::new(job));
        if state.queue.len() <= state.idle {
            // An idle thread counts as idle until it has taken its job, under this lock: none is counted twice.
            condvar.notify_one();
        } else if state.threads < self.max_threads {
            let shared = Arc::clone(&self.state);
            match crate::program::spawn(self.name, move || work(&shared)) {
                Ok(_) => state.threads += 1,
                Err(error) => debug!("no thread for {}, {} wait: {error}", self.name, state.queue.len()),
            }
        }
    }
}

fn work(shared: &(Mutex<Queue>, Condvar)) {
    let (mutex, condvar) = shared;
    let mut state = mutex.lock();
    loop {
        while let Some(job) = state.queue.pop_front() {
            drop(state);
            job();
            state = mutex.lock();
        }
        state.idle += 1;
        let timed_out = condvar.wait_for(&mut state, LINGER).timed_out();
        state.idle -= 1;
        if timed_out && state.queue.is_empty() {
            state.threads -= 1;
            return;
        }
    }
}
