//! Where the engine's shared library is. `scripts/fetch-engine.sh` puts it there and reads the same pin.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;

use serde::Deserialize;

/// Environment variable that names another `libchdb.so`; it has to be the pinned version to be supported.
pub const LIBRARY_VARIABLE: &str = "DRIFTMILL_CHDB_LIB";

/// Which engine this crate is written against: `engine/pin.json`.
#[derive(Debug, Deserialize)]
pub struct Pin {
    /// The npm package that carries the library.
    pub package: String,
    /// Its exact version.
    pub version: String,
    /// Checksum of the package's tarball in npm's form: `sha512-` and base64.
    pub integrity: String,
    /// Size of the tarball, bytes.
    pub tarball_bytes: u64,
    /// File name of the library in the package.
    pub library: String,
    /// Size of the library, bytes.
    pub library_bytes: u64,
}

/// The pinned engine.
pub static PIN: LazyLock<Pin> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../engine/pin.json")).expect("a unit test parses the compiled-in pin")
});

/// Why there is no library to load.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It was never fetched.
    #[error("the ClickHouse engine is not installed ({} is missing): run `make setup`", .0.display())]
    NotInstalled(PathBuf),
    /// [`LIBRARY_VARIABLE`] points nowhere.
    #[error("{LIBRARY_VARIABLE} names {}, which does not exist: correct it, or unset it and run `make setup`", .0.display())]
    OverrideMissing(PathBuf),
    /// There is no folder to look in.
    #[error(
        "the ClickHouse engine is looked for in the user's cache, but neither HOME nor XDG_CACHE_HOME is set: set one, or name the library in {LIBRARY_VARIABLE}"
    )]
    NoCache,
}

/// Finds the engine's library: [`LIBRARY_VARIABLE`], else `<cache>/driftmill/engine/<version>/libchdb.so`, where
/// `<cache>` is `$XDG_CACHE_HOME` or `~/.cache`.
///
/// # Errors
/// One sentence that says what to do, most often to run `make setup`.
pub fn locate() -> Result<PathBuf, Error> {
    locate_in(|name| env::var_os(name))
}

fn locate_in(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, Error> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = set(LIBRARY_VARIABLE) {
        return if path.is_file() { Ok(path) } else { Err(Error::OverrideMissing(path)) };
    }
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache"))).ok_or(Error::NoCache)?;
    let path = cache.join("driftmill/engine").join(&PIN.version).join(&PIN.library);
    if path.is_file() { Ok(path) } else { Err(Error::NotInstalled(path)) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn installed(cache: &Path) -> PathBuf {
        let folder = cache.join("driftmill/engine").join(&PIN.version);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(&PIN.library), "").unwrap();
        folder.join(&PIN.library)
    }

    fn environment<'a>(pairs: &'a [(&'a str, &'a Path)]) -> impl Fn(&str) -> Option<OsString> + 'a {
        |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_os_str().to_owned())
    }

    #[test]
    fn the_pin_is_complete() {
        assert!(PIN.integrity.starts_with("sha512-") && PIN.integrity.len() == "sha512-".len() + 88);
        assert_eq!(PIN.library, "libchdb.so");
    }

    #[test]
    fn the_library_is_found_in_either_cache() {
        let home = tempfile::tempdir().unwrap();
        let expected = installed(&home.path().join(".cache"));
        assert_eq!(locate_in(environment(&[("HOME", home.path())])), Ok(expected));

        let cache = tempfile::tempdir().unwrap();
        let expected = installed(cache.path());
        let found = locate_in(environment(&[("HOME", home.path()), ("XDG_CACHE_HOME", cache.path())]));
        assert_eq!(found, Ok(expected));
    }

    #[test]
    fn a_named_library_wins() {
        let home = tempfile::tempdir().unwrap();
        let library = installed(home.path());
        let found = locate_in(environment(&[("HOME", Path::new("/nowhere")), (LIBRARY_VARIABLE, &library)]));
        assert_eq!(found, Ok(library));
    }

    #[test]
    fn a_missing_library_says_what_to_run() {
        let message = locate_in(environment(&[("HOME", Path::new("/nowhere"))])).unwrap_err().to_string();
        assert!(message.ends_with("libchdb.so is missing): run `make setup`"), "{message}");

        let message = locate_in(environment(&[(LIBRARY_VARIABLE, Path::new("/nowhere"))])).unwrap_err().to_string();
        assert!(message.starts_with("DRIFTMILL_CHDB_LIB names /nowhere"), "{message}");
    }
}
