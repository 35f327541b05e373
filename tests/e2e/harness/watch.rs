//! A test that hangs is ended and named, with the processes it waits for: nobody learns anything from a run that never ends.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, kill_process};
use tokio::time::Instant;

use super::process::children_of;

/// How long one test may take. Each thing it waits for has a limit of its own, far below; this one is for what was forgotten.
const LIMIT: Duration = Duration::from_mins(10);

/// The tests that are on: name and end of the time they have.
static RUNNING: LazyLock<Mutex<BTreeMap<String, Instant>>> = LazyLock::new(|| {
    thread::spawn(watch);
    Mutex::default()
});

thread_local! {
    /// The test of this thread. It goes with the thread, so also after everything the test has left behind was dropped.
    static TEST: RefCell<Option<Watched>> = const { RefCell::new(None) };
}

struct Watched(String);

impl Drop for Watched {
    fn drop(&mut self) {
        running(|tests| tests.remove(&self.0));
    }
}

fn running<T>(change: impl FnOnce(&mut BTreeMap<String, Instant>) -> T) -> T {
    change(&mut RUNNING.lock().unwrap_or_else(PoisonError::into_inner))
}

/// From now on the test that calls is ended if it takes too long.
pub fn this_test() {
    limited_to(LIMIT);
}

/// Gives the test that calls another limit, from now on.
pub fn limited_to(limit: Duration) {
    // Threads that are no test's have no name, or one without a module; with one test thread, tests run on `main`.
    let Some(name) = thread::current().name().filter(|name| name.contains("::")).map(str::to_owned) else { return };
    TEST.with_borrow_mut(|test| {
        if test.is_none() || limit != LIMIT {
            running(|tests| tests.insert(name.clone(), Instant::now() + limit));
            test.get_or_insert(Watched(name));
        }
    });
}

fn watch() {
    loop {
        thread::sleep(Duration::from_secs(1));
        let now = Instant::now();
        let Some(name) = running(|tests| tests.iter().find(|(_, end)| **end < now).map(|(name, _)| name.clone()))
        else {
            continue;
        };
        // Kept until the end: a test whose processes are gone would go on, and could end the run as if nothing had been.
        let _no_test_ends = RUNNING.lock();
        // Straight to the terminal: what a test prints is kept back until it has ended.
        let mut out = std::io::stderr();
        let _ = writeln!(out, "\n{name} hangs, so the run ends here. What every test and its processes wait for:");
        let family = family(getpid());
        for process in &family {
            let _ = out.write_all(state(*process).as_bytes());
        }
        for process in &family[1..] {
            let _ = kill_process(*process, Signal::KILL);
        }
        std::process::exit(101);
    }
}

/// The command of a process, and where in the kernel each of its threads waits.
fn state(pid: Pid) -> String {
    let of = |path: &Path, name: &str| fs::read_to_string(path.join(name)).unwrap_or_default().trim_end().to_owned();
    let process = PathBuf::from(format!("/proc/{}", pid.as_raw_pid()));
    let mut told = format!("{} {}\n", pid.as_raw_pid(), of(&process, "cmdline").replace('\0', " "));
    let mut waits: BTreeMap<(String, String), usize> = BTreeMap::new();
    for thread in fs::read_dir(process.join("task")).into_iter().flatten().flatten() {
        *waits.entry((of(&thread.path(), "comm"), of(&thread.path(), "wchan"))).or_default() += 1;
    }
    for ((name, at), count) in waits {
        let _ = writeln!(told, "    {count} × {name}: {}", if at == "0" { "runs" } else { at.as_str() });
    }
    told
}

/// A process, those that it has started, and those that they have.
fn family(of: Pid) -> Vec<Pid> {
    let mut found = vec![of];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(children_of(parent));
        next += 1;
    }
    found
}
