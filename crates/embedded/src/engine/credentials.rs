//! The password of our ClickHouse user, and the file that tells people how to log in.

use std::io;
use std::path::Path;

use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};
use url::Url;

use super::{DATABASE, USER};
use crate::files;

/// File name of the password, in the data folder: 64 hex digits.
pub(super) const PASSWORD_FILE: &str = "clickhouse.password";
/// File name of the login for people and tools, in the data folder: shell assignments.
pub(super) const CREDENTIALS_FILE: &str = "clickhouse-credentials";

/// 32 random bytes in hex, made once per data folder and kept there.
#[derive(Clone)]
pub(super) struct Password(String);

impl Password {
    /// Reads the folder's password, or makes one.
    pub(super) fn load_or_create(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(PASSWORD_FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) if is_password(text.trim()) => return Ok(Self(text.trim().to_owned())),
            // Anything else is damage, and nothing depends on the old value: the engine is told the hash at every start.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut secret = [0; 32];
        // A secret is the one thing that must not come from a seeded generator.
        OsRng.try_fill_bytes(&mut secret).map_err(io::Error::other)?;
        let password = Self(hex::encode(secret));
        files::write_private(&path, format!("{}\n", password.0).as_bytes())?;
        Ok(password)
    }

    /// The password itself.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The lower-case hex of its SHA-256, which is all the engine gets to know.
    pub(super) fn sha256_hex(&self) -> String {
        hex::encode(Sha256::digest(&self.0))
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

fn is_password(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Writes the login for people: a file that a shell can source.
pub(super) fn write_login(data_dir: &Path, url: &Url, password: &Password) -> io::Result<()> {
    let login = format!(
        "CLICKHOUSE_URL={url}\nCLICKHOUSE_USER={USER}\nCLICKHOUSE_PASSWORD={}\nCLICKHOUSE_DATABASE={DATABASE}\n",
        password.0
    );
    files::write_private(&data_dir.join(CREDENTIALS_FILE), login.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_made_once_per_folder() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = Password::load_or_create(one.path()).unwrap();
        let again = Password::load_or_create(one.path()).unwrap();
        let elsewhere = Password::load_or_create(other.path()).unwrap();

        assert!(is_password(first.as_str()));
        assert_eq!(first.as_str(), again.as_str());
        assert_ne!(first.as_str(), elsewhere.as_str());
    }

    #[test]
    fn a_damaged_password_file_is_replaced() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(PASSWORD_FILE), "short").unwrap();
        assert!(is_password(Password::load_or_create(home.path()).unwrap().as_str()));
    }

    #[test]
    fn the_password_does_not_show_in_debug_output() {
        let home = tempfile::tempdir().unwrap();
        let password = Password::load_or_create(home.path()).unwrap();
        assert!(!format!("{password:?}").contains(password.as_str()));
    }

    #[test]
    fn the_login_is_complete() {
        let home = tempfile::tempdir().unwrap();
        let password = Password("ab".repeat(32));
        write_login(home.path(), &Url::parse("http://127.0.0.1:8123/").unwrap(), &password).unwrap();
        let login = std::fs::read_to_string(home.path().join(CREDENTIALS_FILE)).unwrap();
        assert_eq!(
            login.lines().collect::<Vec<_>>(),
            [
                "CLICKHOUSE_URL=http://127.0.0.1:8123/",
                "CLICKHOUSE_USER=driftmill",
                &format!("CLICKHOUSE_PASSWORD={}", password.as_str()),
                "CLICKHOUSE_DATABASE=driftmill",
            ]
        );
    }
}
