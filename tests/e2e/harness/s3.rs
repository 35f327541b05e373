//! A real S3 server: S3Proxy over a folder, for whoever has its key.

use std::path::{Path, PathBuf};
use std::process::Command;

use driftmill_platform::store::Store;
use tempfile::TempDir;
use url::Url;

use super::{Process, eventually, free_port, repository};

/// The one bucket there is.
pub const BUCKET: &str = "models";

/// A running server, which keeps its objects over a `kill -9`. Its key is a new one in each test.
pub struct S3Server {
    process: Option<Process>,
    folder: TempDir,
    port: u16,
    pub key: String,
    pub secret: String,
}

impl S3Server {
    /// Starts one and waits until it answers.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("buckets").join(BUCKET)).unwrap();
        let random = || uuid::Uuid::new_v4().simple().to_string();
        let mut server = Self {
            process: None,
            folder,
            port: free_port(),
            key: random(),
            secret: format!("{}{}", random(), random()),
        };
        server.start_again().await;
        server
    }

    /// Starts it where it was.
    pub async fn start_again(&mut self) {
        let folder: PathBuf = self.folder.path().to_owned();
        let mut command = Command::new(repository().join("scripts/s3-server.sh"));
        command.arg(&folder).arg(self.port.to_string());
        command.env("AWS_ACCESS_KEY_ID", &self.key).env("AWS_SECRET_ACCESS_KEY", &self.secret);
        self.process = Some(Process::start("the S3 server", command, folder.join("stderr.log")));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        // Whoever has no key is refused, and that is an answer.
        eventually("the S3 server answers", async || http.get(self.endpoint()).send().await.ok().map(drop)).await;
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Its address.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What a process is told to reach it.
    pub fn environment(&self) -> Vec<(String, String)> {
        self.environment_at(&self.endpoint())
    }

    /// The same, by a detour.
    pub fn environment_at(&self, endpoint: &str) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_ACCESS_KEY_ID", &self.key),
            ("AWS_SECRET_ACCESS_KEY", &self.secret),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// A store in the bucket, below `prefix`.
    pub fn store(&self, prefix: &str) -> Store {
        open(prefix, self.environment())
    }

    /// Where the bucket's objects are files.
    pub fn files(&self) -> PathBuf {
        self.folder.path().join("buckets").join(BUCKET)
    }
}

/// Opens the bucket below `prefix`.
pub fn open(prefix: &str, environment: Vec<(String, String)>) -> Store {
    let url = Url::parse(&format!("s3://{BUCKET}/{prefix}")).unwrap();
    Store::open_with(&url, environment).unwrap()
}

/// All files below a folder, relative to it.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}
