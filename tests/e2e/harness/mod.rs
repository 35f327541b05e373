//! Starts what a test needs, on free ports and in a folder of its own, and takes everything down with the test.

mod backend;
mod process;
mod registry;
mod s3;
mod stack;
pub mod watch;

pub use backend::{Backend, BrokerKind, binary, free_port, settings_of, start_engine, start_kafka};
pub use process::{Process, child_of, output};
pub use registry::SchemaRegistry;
pub use s3::{BUCKET, S3Server, files_below, open as open_bucket};
pub use stack::{Options, Stack};

use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long anything may take before a test gives up on it. Generous: machines are shared.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The repository.
pub fn repository() -> PathBuf {
    watch::this_test();
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Asks again and again until there is an answer; panics with `what` when patience is over.
pub async fn eventually<T, F>(what: &str, mut ask: F) -> T
where
    F: AsyncFnMut() -> Option<T>,
{
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(answer) => answer,
        Err(_) => panic!("waited {PATIENCE:?} for this in vain: {what}"),
    }
}

/// Copies the bundled pipelines into `folder`, so that a test may change them.
pub fn copy_pipelines(names: &[&str], folder: &Path) -> PathBuf {
    let target = folder.join("pipelines");
    for name in names {
        copy(&repository().join("pipelines").join(name), &target.join(name));
    }
    target
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
