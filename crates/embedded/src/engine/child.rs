//! The child's side: this program, started again under a hidden role, becomes the ClickHouse engine.
//!
//! The engine is a C library that can run once per process, installs its own memory allocator and cannot be stopped from
//! inside, so it gets a process of its own. That process must never outlive the one it serves.

use std::convert::Infallible;
use std::ffi::{CStr, CString, NulError, OsString, c_char, c_int, c_void};
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use libloading::Library;
use rustix::process::{Pid, Signal, getpid, getppid, kill_process, set_parent_process_death_signal};

use super::STORE_FOLDER;
use super::config::CONFIG_FILE;

/// The arguments of the hidden role, in this order on its command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineChildArgs {
    /// The engine's shared library.
    pub library: PathBuf,
    /// The data folder: configuration, log, and the ClickHouse path in it. Becomes the working folder.
    pub data_dir: PathBuf,
    /// Port of the HTTP interface on 127.0.0.1; 0 lets the system choose.
    pub port: u16,
    /// The process that started this one.
    pub parent: i32,
}

/// Why a child process is not (or no longer) an engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The role was started by hand.
    #[error("this role is started by driftmill itself, with the arguments: library, data folder, port, parent process")]
    Usage,
    /// The parent ended while this process was starting.
    #[error("the process that started the engine has ended")]
    Orphaned,
    /// The operating system refused a step.
    #[error("cannot {step}: {source}")]
    System {
        /// What was being done.
        step: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A path holds a zero byte.
    #[error("a path cannot be passed to the ClickHouse engine: {0}")]
    Argument(#[from] NulError),
    /// The library cannot be loaded, or is not the one this crate is written against.
    #[error("cannot load the ClickHouse engine from {}: {source}; run `make setup` to fetch the supported one", library.display())]
    Load {
        /// The library.
        library: PathBuf,
        /// What the loader said.
        source: libloading::Error,
    },
    /// The engine's one call came back; it never does while all is well.
    #[error("the ClickHouse engine ended: {0}")]
    Returned(String),
}

impl EngineChildArgs {
    /// Reads the role's arguments: what [`Self::to_args`] wrote.
    ///
    /// # Errors
    /// [`Error::Usage`] when they are not four, or the numbers are none.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, Error> {
        let args: Vec<OsString> = args.into_iter().collect();
        let [library, data_dir, port, parent] = args.as_slice() else { return Err(Error::Usage) };
        let number = |text: &OsString| text.to_str().ok_or(Error::Usage).map(str::to_owned);
        Ok(Self {
            library: library.into(),
            data_dir: data_dir.into(),
            port: number(port)?.parse().map_err(|_| Error::Usage)?,
            parent: number(parent)?.parse().map_err(|_| Error::Usage)?,
        })
    }

    /// The role's command line, after whatever selects the role.
    pub fn to_args(&self) -> [OsString; 4] {
        [
            self.library.clone().into(),
            self.data_dir.clone().into(),
            self.port.to_string().into(),
            self.parent.to_string().into(),
        ]
    }
}

/// Turns this process into the ClickHouse engine. Call it before anything else is started in the process, threads
/// included.
///
/// It writes the port of its HTTP interface as one line to standard output once it listens, and ends when it is killed,
/// when its parent ends, or when its standard input is closed.
///
/// # Errors
/// It only ever returns with one. What the engine itself has to say about it is on standard error by then.
pub fn run_engine_child(args: EngineChildArgs) -> Result<Infallible, Error> {
    follow_parent(args.parent)?;
    // The engine creates files for everybody; they hold the user's data.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    // The configuration names its files relative to here, so that no path has to be quoted for XML.
    std::env::set_current_dir(&args.data_dir)
        .map_err(|source| Error::System { step: "enter the data folder", source })?;
    let argv = command_line(&args.data_dir, args.port)?;
    Err(Error::Returned(call_engine(&args.library, &argv)?))
}

/// Ties this process to `parent`: the kernel kills it when the parent ends, and so does the end of standard input, which
/// also covers a parent that went away before the kernel knew.
fn follow_parent(parent: i32) -> Result<(), Error> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|errno| Error::System { step: "ask to end with the parent process", source: errno.into() })?;
    if getppid().map(Pid::as_raw_pid) != Some(parent) {
        return Err(Error::Orphaned);
    }
    std::thread::Builder::new()
        .name("stdin-watch".to_owned())
        .spawn(|| {
            let mut ignored = [0; 64];
            let mut stdin = std::io::stdin();
            while matches!(stdin.read(&mut ignored), Ok(1..)) {}
            // Not `exit`: that would run the engine's destructors under its running threads.
            let _ = kill_process(getpid(), Signal::KILL);
        })
        .map_err(|source| Error::System { step: "watch standard input", source })?;
    Ok(())
}

fn command_line(data_dir: &Path, port: u16) -> Result<Vec<CString>, NulError> {
    let mut path = OsString::from("--path=");
    path.push(data_dir.join(STORE_FOLDER));
    // SYSTEM START LISTEN returns when the listener accepts. The last query never ends and costs one wake-up in three
    // seconds; while it runs, the engine serves.
    let queries = "SYSTEM START LISTEN HTTP; \
         SELECT getServerPort('http_port') INTO OUTFILE '/dev/stdout' APPEND FORMAT TSV; \
         SELECT sleepEachRow(3) FROM system.numbers SETTINGS max_block_size = 1 FORMAT Null";
    [
        OsString::from("clickhouse-local"),
        // Always named, or a `config.xml` of the working folder would be picked up.
        format!("--config-file={CONFIG_FILE}").into(),
        path,
        "--listen_host=127.0.0.1".into(),
        format!("--http_port={port}").into(),
        format!("--query={queries}").into(),
    ]
    .into_iter()
    .map(|arg| CString::new(arg.into_vec()))
    .collect()
}

/// Runs the engine with `argv` until it ends by itself, and returns what it says about that.
fn call_engine(library: &Path, argv: &[CString]) -> Result<String, Error> {
    type QueryCmdline = unsafe extern "C" fn(argc: c_int, argv: *mut *mut c_char) -> *mut c_void;
    type ResultError = unsafe extern "C" fn(result: *mut c_void) -> *const c_char;

    let failed = |source| Error::Load { library: library.to_owned(), source };
    // SAFETY: loading runs the library's initialisers. It is the pinned engine, verified when it was fetched (or what
    // the user named in its place), and nothing else runs in this process that they could disturb.
    let engine = unsafe { Library::new(library) }.map_err(failed)?;
    // SAFETY: both signatures are those of the library's C interface (chdb.h): `chdb_result *chdb_query_cmdline(int,
    // char **)` and `const char *chdb_result_error(chdb_result *)`, where chdb_result is opaque.
    let (query_cmdline, result_error) = unsafe {
        (
            engine.get::<QueryCmdline>(b"chdb_query_cmdline\0").map_err(failed)?,
            engine.get::<ResultError>(b"chdb_result_error\0").map_err(failed)?,
        )
    };

    let mut pointers: Vec<*mut c_char> = argv.iter().map(|arg| arg.as_ptr().cast_mut()).collect();
    let argc = c_int::try_from(pointers.len()).expect("the command line has six words");
    pointers.push(std::ptr::null_mut());
    // SAFETY: `pointers` is an argv as main() gets it: `argc` C strings that outlive the call, and a null.
    let result = unsafe { query_cmdline(argc, pointers.as_mut_ptr()) };
    if result.is_null() {
        return Ok("without a result".to_owned());
    }
    // SAFETY: `result` is what the call returned and nobody has freed it; the text belongs to it.
    let message = unsafe { result_error(result) };
    if message.is_null() {
        // Errors of the queries themselves are printed to standard error and nowhere else.
        return Ok("see above".to_owned());
    }
    // SAFETY: not null, so it is a C string that lives as long as `result`, which is never freed.
    Ok(unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> EngineChildArgs {
        EngineChildArgs {
            library: "/cache/libchdb.so".into(),
            data_dir: "/home/me/my data".into(),
            port: 8123,
            parent: 42,
        }
    }

    #[test]
    fn arguments_survive_the_command_line() {
        assert_eq!(EngineChildArgs::parse(args().to_args()).unwrap(), args());
    }

    #[test]
    fn the_role_started_by_hand_is_refused() {
        assert!(matches!(EngineChildArgs::parse([]), Err(Error::Usage)));
        let mut wrong = args().to_args();
        wrong[2] = "http".into();
        assert!(matches!(EngineChildArgs::parse(wrong), Err(Error::Usage)));
    }

    #[test]
    fn the_engine_is_told_its_folder_and_port_and_stays_on_the_loopback_interface() {
        let words = command_line(Path::new("/home/me/my data"), 8123).unwrap();
        let words: Vec<&str> = words.iter().map(|word| word.to_str().unwrap()).collect();
        assert!(words.contains(&"--path=/home/me/my data/clickhouse"));
        assert!(words.contains(&"--http_port=8123"));
        assert!(words.contains(&"--listen_host=127.0.0.1"));
        assert!(words.contains(&"--config-file=engine.xml"));
    }
}
