//! The parent's side of the child process: start it, signal it, learn of its end.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{ChildStdin, Command, Stdio};
use std::thread;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::process::ChildStdout;
use tokio::sync::{oneshot, watch};

/// A running child. Dropping it closes the child's standard input, which ends the child.
#[derive(Debug)]
pub(super) struct EngineProcess {
    pid: u32,
    // Names the process itself, where an id may be given to another one as soon as the child has been waited for.
    pidfd: OwnedFd,
    _stdin: ChildStdin,
    ended: watch::Receiver<Option<String>>,
}

impl EngineProcess {
    /// Starts `command` with its standard input and output connected to this process; returns the output.
    ///
    /// The child asks the kernel to be killed when its parent ends, and to the kernel that is the *thread* which started
    /// it. A runtime's threads come and go, so the child gets a thread that does nothing but wait for it.
    pub(super) async fn spawn(mut command: Command) -> io::Result<(Self, ChildStdout)> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let (started_sender, started) = oneshot::channel();
        let (ended_sender, ended) = watch::channel(None);
        thread::Builder::new().name("clickhouse-engine".to_owned()).spawn(move || {
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => return drop(started_sender.send(Err(error))),
            };
            let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
            let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
            // Whatever of this is not taken over is dropped, and the child ends with its standard input.
            let _ = started_sender.send(match (pidfd, stdin, stdout) {
                (Ok(pidfd), Some(stdin), Some(stdout)) => Ok((child.id(), pidfd, stdin, stdout)),
                (Err(errno), ..) => Err(errno.into()),
                _ => Err(io::Error::other("the child's standard input and output are not connected")),
            });
            let ending =
                child.wait().map_or_else(|error| format!("unknown status: {error}"), |status| status.to_string());
            ended_sender.send_replace(Some(ending));
        })?;
        let (pid, pidfd, stdin, stdout) = started.await.map_err(io::Error::other)??;
        let stdout = ChildStdout::from_std(stdout)?;
        Ok((Self { pid, pidfd, _stdin: stdin, ended }, stdout))
    }

    /// The child's process id.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal; a child that has ended ignores it.
    pub(super) fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.pidfd, signal);
    }

    /// Waits for the child's end and returns how it ended, such as `exit status: 1`.
    pub(super) async fn ended(&self) -> String {
        let mut ended = self.ended.clone();
        // The waiting thread always leaves a value before it drops the sender.
        let ending = ended.wait_for(Option::is_some).await.ok().and_then(|ending| ending.clone());
        ending.unwrap_or_else(|| "unknown status".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn a_signalled_child_is_reported_with_the_signal() {
        let (child, _stdout) = EngineProcess::spawn(Command::new("cat")).await.unwrap();
        child.signal(Signal::TERM);
        assert!(child.ended().await.contains("signal: 15"));
        child.signal(Signal::KILL);
    }

    #[tokio::test]
    async fn a_dropped_child_sees_the_end_of_its_standard_input() {
        let (child, mut stdout) = EngineProcess::spawn(Command::new("cat")).await.unwrap();
        let ended = child.ended.clone();
        drop(child);
        // `cat` closes its output when its input has ended.
        assert_eq!(stdout.read(&mut [0]).await.unwrap(), 0);
        let ending = ended.clone().wait_for(Option::is_some).await.unwrap().clone();
        assert_eq!(ending.as_deref(), Some("exit status: 0"));
    }

    #[tokio::test]
    async fn a_command_that_does_not_exist_is_an_error() {
        let refused = EngineProcess::spawn(Command::new("/nowhere/driftmill")).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::NotFound);
    }
}
