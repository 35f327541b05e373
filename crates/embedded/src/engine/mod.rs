//! The ClickHouse engine: the real one, as a library, in a child process of ours.
//!
//! ```text
//! EmbeddedEngine::start ── writes ──► <data_dir>/engine.xml, clickhouse.password, clickhouse-credentials
//!        │ spawns <child_command> …          (child.rs: the hidden role)
//!        │                                    └─ dlopen libchdb.so ─► SYSTEM START LISTEN HTTP
//!        │ ◄──── one line: the port ───────────────┘
//!        └─ GET /ping, CREATE DATABASE driftmill ──► ready
//! ```
//!
//! Durability: an insert that was acknowledged survives a kill of the engine; it survives a power cut once the operating
//! system has written it (`fsync_after_insert` is off unless a table sets it). There is no Keeper, so Replicated table
//! engines do not exist here.

mod child;
mod config;
mod credentials;
mod deduplication;
mod error;
pub mod library;
mod process;

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::ChildStdout;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

pub use self::child::{EngineChildArgs, Error as ChildError, run_engine_child};
use self::credentials::Password;
pub use self::error::Error;
use self::process::EngineProcess;
use crate::files;

/// The ClickHouse user everything of ours logs in as.
pub const USER: &str = "driftmill";
/// The database that holds everything of ours; engine Atomic.
pub const DATABASE: &str = "driftmill";

/// The ClickHouse path, in the data folder.
const STORE_FOLDER: &str = "clickhouse";
/// In the store: names the engine that uses it, and is locked by that one.
const STATUS_FILE: &str = "status";
/// What the child writes to standard error, in the data folder: start-up errors and last words. Overwritten at each start.
const STDERR_FILE: &str = "engine.stderr";

/// Measured: 0.3 s. A large store has its parts to load first.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long an engine that was killed together with its parent may hold the store after the next one is started.
const HANDOVER_LIMIT: Duration = Duration::from_secs(3);
const HANDOVER_PAUSE: Duration = Duration::from_millis(100);
/// How long the engine may take to end when asked.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// What an engine is started with.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The data folder. The caller owns it (see [`crate::DataDir`]).
    pub data_dir: PathBuf,
    /// Port of the HTTP interface on 127.0.0.1; `None` takes a free one.
    pub port: Option<u16>,
    /// The command that runs [`run_engine_child`] with the arguments appended to it: this program and its hidden role.
    pub child_command: Vec<OsString>,
}

/// A running engine.
#[derive(Debug)]
pub struct EmbeddedEngine {
    url: Url,
    password: Password,
    data_dir: PathBuf,
    process: EngineProcess,
    // Open as long as the child is, or a write to it would end the child.
    _stdout: BufReader<ChildStdout>,
}

impl EmbeddedEngine {
    /// Starts the engine on the store in the data folder, and returns when it answers queries and has our database.
    ///
    /// `cancel` gives up a start in progress. A running engine is stopped by [`Self::stop`], after its clients.
    ///
    /// # Errors
    /// See [`Error`]; each says what to do. No child is left behind.
    pub async fn start(options: EngineOptions, cancel: CancellationToken) -> Result<Self, Error> {
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Error::Cancelled),
            // A start that is dropped half-way takes its child along.
            started = Self::start_patiently(&options) => started,
        }
    }

    /// Starts again while the store is held by an engine that is about to end: the parent that was killed a moment ago
    /// is gone at once, its child needs some milliseconds more.
    async fn start_patiently(options: &EngineOptions) -> Result<Self, Error> {
        let deadline = Instant::now() + HANDOVER_LIMIT;
        loop {
            match Self::start_once(options).await {
                Err(Error::StoreInUse { .. }) if Instant::now() < deadline => sleep(HANDOVER_PAUSE).await,
                outcome => return outcome,
            }
        }
    }

    async fn start_once(options: &EngineOptions) -> Result<Self, Error> {
        let library = library::locate()?;
        let data_dir = options.data_dir.as_path();
        let password = prepare(data_dir)?;

        let (process, stdout) = EngineProcess::spawn(child_command(options, library)?)
            .await
            .map_err(|source| Error::Spawn { command: options.child_command.clone(), source })?;
        let mut stdout = BufReader::new(stdout);
        let ready = async {
            let port = read_port(&mut stdout).await?;
            let url = Url::parse(&format!("http://127.0.0.1:{port}/")).ok()?;
            Some(create_database(&url, &password).await.map(|()| url))
        };
        let url = tokio::select! {
            biased;
            ready = timeout(START_LIMIT, ready) => match ready {
                Ok(Some(ready)) => ready?,
                // The child closed its output, so it is ending.
                Ok(None) => return Err(Error::of_early_end(process.ended().await, data_dir, options.port)),
                Err(_) => return Err(Error::NotReady { limit: START_LIMIT, log: data_dir.join(config::LOG_FILE) }),
            },
            ending = process.ended() => return Err(Error::of_early_end(ending, data_dir, options.port)),
        };
        credentials::write_login(data_dir, &url, &password).map_err(|source| Error::file(data_dir, source))?;
        info!(%url, pid = process.pid(), "the ClickHouse engine is ready");
        Ok(Self { url, password, data_dir: data_dir.to_owned(), process, _stdout: stdout })
    }

    /// Address of the HTTP interface, such as `http://127.0.0.1:8123/`.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The user to log in as.
    pub fn user(&self) -> &str {
        USER
    }

    /// The user's password.
    pub fn password(&self) -> &str {
        self.password.as_str()
    }

    /// The database that holds our tables.
    pub fn database(&self) -> &str {
        DATABASE
    }

    /// Process id of the engine.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Waits until the engine ends by itself, and returns a sentence with what is known about it. Never returns while
    /// the engine is well.
    pub async fn died(&self) -> String {
        let ending = self.process.ended().await;
        format!("the ClickHouse engine ended unexpectedly ({ending}){}", error::last_words(&self.data_dir))
    }

    /// Stops the engine. Its clients should have stopped before: an insert that is under way is lost, unacknowledged.
    pub async fn stop(self) {
        info!("stopping the ClickHouse engine");
        self.process.signal(Signal::TERM);
        if timeout(STOP_LIMIT, self.process.ended()).await.is_err() {
            warn!("the ClickHouse engine did not end when asked and is killed");
            self.process.signal(Signal::KILL);
            self.process.ended().await;
        }
    }
}

/// Makes the files and folders the engine starts from.
fn prepare(data_dir: &Path) -> Result<Password, Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::file(&path, source)
    };
    let store = data_dir.join(STORE_FOLDER);
    files::create_private_dir(&store).map_err(failed(&store))?;
    if !deduplication::repair(&store).map_err(failed(&store))? {
        return Err(Error::in_use(data_dir));
    }
    // Tables of the `system` database are not attached again at the next start, and their leftovers are in the way of
    // their successors. None are configured; this is for a store that has seen another configuration.
    let leftovers = store.join("data/system");
    match std::fs::remove_dir_all(&leftovers) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => return Err(failed(&leftovers)(source)),
        _ => {}
    }
    let password = Password::load_or_create(data_dir).map_err(failed(&data_dir.join(credentials::PASSWORD_FILE)))?;
    let config = data_dir.join(config::CONFIG_FILE);
    files::write_private(&config, config::render(&password.sha256_hex()).as_bytes()).map_err(failed(&config))?;
    Ok(password)
}

fn child_command(options: &EngineOptions, library: PathBuf) -> Result<Command, Error> {
    let (program, role) = options.child_command.split_first().ok_or(Error::NoCommand)?;
    let stderr_path = options.data_dir.join(STDERR_FILE);
    let stderr = files::open_private(&stderr_path)
        .and_then(|file| file.set_len(0).map(|()| file))
        .map_err(|source| Error::file(&stderr_path, source))?;
    let data_dir = options.data_dir.canonicalize().map_err(|source| Error::file(&options.data_dir, source))?;
    let parent = std::process::id().cast_signed();
    let args = EngineChildArgs { library, data_dir, port: options.port.unwrap_or(0), parent };

    let mut command = Command::new(program);
    command
        .args(role)
        .args(args.to_args())
        .stderr(stderr)
        // An interrupt from the keyboard goes to a whole process group; the engine must outlive its clients' shutdown.
        .process_group(0)
        // The engine would look for its own settings, and other people's keys, in the environment.
        .env_clear()
        .envs(std::env::var_os("LD_LIBRARY_PATH").map(|path| ("LD_LIBRARY_PATH", path)))
        .env("TZ", "UTC");
    Ok(command)
}

/// Waits for the child's one line; `None` when its output ends without one.
async fn read_port(stdout: &mut BufReader<ChildStdout>) -> Option<u16> {
    let mut line = String::new();
    while stdout.read_line(&mut line).await.ok()? > 0 {
        if let Ok(port) = line.trim().parse() {
            return Some(port);
        }
        line.clear();
    }
    None
}

/// Checks that the interface answers and knows our password, and creates the database.
async fn create_database(url: &Url, password: &Password) -> Result<(), Error> {
    // A proxy from the environment must not get between us and the loopback interface.
    let client = reqwest::Client::builder().no_proxy().timeout(START_LIMIT).build()?;
    let mut ping = url.clone();
    ping.set_path("ping");
    client.get(ping).send().await?.error_for_status()?;
    let response = client
        .post(url.clone())
        .header("X-ClickHouse-User", USER)
        .header("X-ClickHouse-Key", password.as_str())
        .body(format!("CREATE DATABASE IF NOT EXISTS {DATABASE} ENGINE = Atomic"))
        .send()
        .await?;
    if response.status().is_success() {
        return Ok(());
    }
    Err(Error::Refused { url: url.clone(), answer: response.text().await?.trim().to_owned() })
}
