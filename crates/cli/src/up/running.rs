//! How other commands find a `driftmill up` that runs on the same data folder: it leaves its addresses there.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use driftmill_embedded::lock::is_held;
use driftmill_platform::config::{Layer, Settings};
use serde_json::json;

/// Addresses of what runs, in the data folder: a settings file.
const FILE: &str = "running.json";

/// The file, which goes when its process stops in order.
pub struct Running(PathBuf);

impl Running {
    /// Leaves the addresses.
    pub fn write(settings: &Settings) -> anyhow::Result<Self> {
        let addresses = json!({
            "kafka_brokers": settings.kafka.brokers,
            "clickhouse_url": settings.clickhouse.url,
            "clickhouse_user": settings.clickhouse.user,
            "clickhouse_password_file": settings.data_dir.join("clickhouse.password"),
            "clickhouse_database": settings.clickhouse.database,
            "object_store": settings.object_store,
        });
        let path = settings.data_dir.join(FILE);
        // The folder is its owner's alone, and the password is in a file of its own.
        std::fs::write(&path, format!("{addresses:#}\n")).with_context(|| format!("`{}`", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What stays after a crash is not believed, and the folder's next owner takes it away.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Takes away what a process that was killed left; for who owns the folder now.
pub fn forget(data_dir: &Path) {
    let _ = std::fs::remove_file(data_dir.join(FILE));
}

/// The addresses of what runs on the data folder, if something does.
pub fn addresses(data_dir: &Path) -> anyhow::Result<Option<Layer>> {
    let path = data_dir.join(FILE);
    if !path.is_file() || !is_held(data_dir) {
        return Ok(None);
    }
    Ok(Some(Layer::from_file(&path)?))
}
