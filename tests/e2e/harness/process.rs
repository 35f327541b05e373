//! A child process that never outlives its test.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::{PATIENCE, watch};

/// How long a command may take that ends by itself: the longest are trainings.
const AT_MOST: Duration = Duration::from_mins(6);

/// A started process; its standard error goes to a file that is shown when it fails.
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
    lines: mpsc::Receiver<String>,
}

impl Process {
    /// Starts `command`; its standard error is appended to `log`.
    pub fn start(name: &str, mut command: Command, log: PathBuf) -> Self {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        command = ends_with_its_parent(&command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file);
        let (sender, lines) = mpsc::channel();
        let (started, child) = mpsc::channel();
        // To the kernel the parent is the thread that starts the child, so this one stays as long as the child does. It
        // reads on so that the child never blocks on a full pipe.
        std::thread::spawn(move || {
            let spawned = command.spawn().map(|mut child| (child.stdout.take(), child));
            let stdout = match spawned {
                Ok((stdout, child)) => {
                    let _ = started.send(Ok(child));
                    stdout
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                    None
                }
            };
            for line in stdout.into_iter().flat_map(|out| BufReader::new(out).lines().map_while(Result::ok)) {
                let _ = sender.send(line);
            }
        });
        let child = child.recv().unwrap().unwrap_or_else(|e| panic!("{name} does not start: {e}"));
        Self { child, name: name.to_owned(), log, lines }
    }

    /// The next line of standard output; panics with the log when the process ends before.
    pub fn line(&mut self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(_) => panic!("{} said nothing more. Its log:\n{}", self.name, self.log()),
        }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next line of standard output if there is one already.
    pub fn try_line(&mut self) -> Option<String> {
        self.lines.try_recv().ok()
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends it a signal, unless it has ended: its id may be somebody else's then.
    pub fn signal(&mut self, signal: Signal) {
        if self.is_running() {
            let _ = kill_process(self.pid(), signal);
        }
    }

    /// How it ended, if it has.
    pub fn ending(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// What it wrote to standard error.
    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// Whether it is still there.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// SIGTERM, then waits; the time it took and whether it ended well.
    pub fn stop(&mut self) -> bool {
        if !self.is_running() {
            return false;
        }
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        for _ in 0..PATIENCE.as_millis() / 20 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{} does not stop. Its log:\n{}", self.name, self.log());
    }
}

/// Runs a command to its end, as [`Command::output`] does. One that takes longer than it may is asked to stop, and what it
/// wrote is shown: those that wait for a server say so. Blocks.
pub fn output(command: &Command) -> Output {
    watch::this_test();
    let said = format!("{:?} {:?}", command.get_program(), command.get_args().collect::<Vec<_>>());
    let mut command = ends_with_its_parent(command);
    // A group of its own: what it has started holds its pipes, too.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let child = command.spawn().unwrap_or_else(|e| panic!("{said} does not start: {e}"));
    let pid = Pid::from_child(&child);
    let (ended, waited) = mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        let late = |limit| waited.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout);
        let is_late = late(AT_MOST);
        if is_late {
            let _ = kill_process_group(pid, Signal::TERM);
            if late(Duration::from_secs(10)) {
                let _ = kill_process_group(pid, Signal::KILL);
            }
        }
        is_late
    });
    let output = child.wait_with_output().unwrap();
    drop(ended);
    if watch.join().unwrap() {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        panic!("{said} did not end within {AT_MOST:?}, and was stopped. It said:\n{out}\n{err}");
    }
    output
}

/// The same command, killed by the kernel when this process ends, however it ends.
fn ends_with_its_parent(command: &Command) -> Command {
    let mut wrapped = Command::new("setpriv");
    wrapped.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(key, value),
            None => wrapped.env_remove(key),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    wrapped
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of {} ---\n{}", self.name, self.log());
        }
    }
}

/// The one child of a process.
pub fn child_of(parent: Pid) -> Option<Pid> {
    children_of(parent).next()
}

/// The children of a process.
pub fn children_of(parent: Pid) -> impl Iterator<Item = Pid> {
    std::fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(move |entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // After the name, which may hold anything: state, then the parent.
        let of: i32 = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
        (of == parent.as_raw_pid()).then(|| Pid::from_raw(pid))?
    })
}
