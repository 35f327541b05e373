//! Why an engine does not start, told to the person who started it.

use std::ffi::OsString;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::{STATUS_FILE, STDERR_FILE, STORE_FOLDER, config, library};
use crate::processes;

/// How much of the engine's last words goes into a message, bytes.
const LAST_WORDS_LIMIT: usize = 2_000;

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine's library is not there.
    #[error(transparent)]
    Library(#[from] library::Error),
    /// A file of the data folder cannot be read or written.
    #[error("the ClickHouse engine needs {}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// No command was given for the child process.
    #[error("no command is given to start the ClickHouse engine's process with")]
    NoCommand,
    /// The child process cannot be started.
    #[error("cannot start the ClickHouse engine's process with {command:?}: {source}")]
    Spawn {
        /// The command.
        command: Vec<OsString>,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another ClickHouse works on the same store.
    #[error("the ClickHouse store {} is in use by {holder}; stop it first", store.display())]
    StoreInUse {
        /// The store.
        store: PathBuf,
        /// Process id and command line of the other one.
        holder: String,
    },
    /// Another program listens on the port.
    #[error(
        "the ClickHouse engine cannot listen on 127.0.0.1:{port}: another program already does; stop it or choose another port"
    )]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// The child ended before it served.
    #[error("the ClickHouse engine ended while it was starting ({ending}){last_words}")]
    EarlyEnd {
        /// How it ended.
        ending: String,
        /// What it said, with a lead-in, and where to read more.
        last_words: String,
    },
    /// It does neither serve nor end.
    #[error("the ClickHouse engine is not ready after {} s; its log is {}", limit.as_secs(), log.display())]
    NotReady {
        /// How long was waited.
        limit: Duration,
        /// The engine's log.
        log: PathBuf,
    },
    /// The HTTP interface cannot be spoken to.
    #[error("the ClickHouse engine listens, but does not answer: {0}")]
    Http(#[from] reqwest::Error),
    /// The HTTP interface refused to create our database.
    #[error("the ClickHouse engine at {url} refused to create its database: {answer}")]
    Refused {
        /// Its address.
        url: Url,
        /// Its answer.
        answer: String,
    },
    /// The start was given up.
    #[error("the start of the ClickHouse engine was given up")]
    Cancelled,
}

impl Error {
    /// The store of this data folder is another engine's, whom its status file names.
    pub(super) fn in_use(data_dir: &Path) -> Self {
        let store = data_dir.join(STORE_FOLDER);
        let holder = std::fs::read_to_string(store.join(STATUS_FILE))
            .ok()
            .and_then(|status| holder_in_status(&status))
            .map_or_else(|| "another ClickHouse".to_owned(), processes::describe);
        Self::StoreInUse { store, holder }
    }

    pub(super) fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }

    /// Reads the reason for an early end from what the engine left behind: it reports nothing but text.
    pub(super) fn of_early_end(ending: String, data_dir: &Path, port: Option<u16>) -> Self {
        let said = said(data_dir);
        if said.contains("Code: 76.") && said.contains("Cannot lock file") {
            return Self::in_use(data_dir);
        }
        if let Some(port) = port
            && said.contains("Code: 210.")
            && said.contains("Address already in use")
        {
            return Self::PortInUse { port };
        }
        Self::EarlyEnd { ending, last_words: last_words(data_dir) }
    }
}

/// What the engine said last, with a lead-in for the end of a message, and where its log is.
pub(super) fn last_words(data_dir: &Path) -> String {
    let mut words = String::new();
    let said = said(data_dir);
    if !said.is_empty() {
        let mut start = said.len().saturating_sub(LAST_WORDS_LIMIT);
        while !said.is_char_boundary(start) {
            start += 1;
        }
        let _ = write!(words, ": {}", &said[start..]);
    }
    let _ = write!(words, " (log: {})", data_dir.join(config::LOG_FILE).display());
    words
}

fn said(data_dir: &Path) -> String {
    let raw = std::fs::read(data_dir.join(STDERR_FILE)).unwrap_or_default();
    let text = String::from_utf8_lossy(&raw);
    // The first line of every run says where the log goes.
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("Logging ")).collect();
    lines.join("\n").trim().to_owned()
}

/// The process id in the file by which ClickHouse locks its store: a line `PID: 123`.
fn holder_in_status(status: &str) -> Option<u32> {
    status.lines().find_map(|line| line.strip_prefix("PID: ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(stderr: &str) -> (tempfile::TempDir, Error) {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(STORE_FOLDER)).unwrap();
        let status = format!("PID: {}\nStarted at: 2026-01-01 00:00:00\nRevision: 1\n", std::process::id());
        std::fs::write(home.path().join(STORE_FOLDER).join("status"), status).unwrap();
        std::fs::write(home.path().join(STDERR_FILE), stderr).unwrap();
        let error = Error::of_early_end("exit status: 1".to_owned(), home.path(), Some(8123));
        (home, error)
    }

    #[test]
    fn a_locked_store_names_the_process_that_holds_it() {
        let (_home, error) = after("Code: 76. DB::Exception: Cannot lock file /d/status. Another server …");
        let message = error.to_string();
        assert!(message.contains(&format!("in use by process {} (`", std::process::id())), "{message}");
    }

    #[test]
    fn a_taken_port_is_named() {
        let (_home, error) = after("Code: 210. DB::Exception: Listen failed: Net Exception: Address already in use: …");
        assert!(matches!(error, Error::PortInUse { port: 8123 }));
    }

    #[test]
    fn any_other_end_shows_what_the_engine_said() {
        let (home, error) = after("Logging warning to engine.log\nCode: 1000. Everything is wrong\n");
        let log = home.path().join("engine.log");
        let expected = format!(
            "the ClickHouse engine ended while it was starting (exit status: 1): Code: 1000. Everything is wrong (log: {})",
            log.display()
        );
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn long_last_words_are_cut_at_the_front() {
        let (_home, error) = after(&format!("{}the end", "ä".repeat(5_000)));
        let message = error.to_string();
        assert!(message.contains("ääthe end (log: ") && message.len() < 2 * LAST_WORDS_LIMIT);
    }
}
