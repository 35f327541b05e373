//! A real schema registry: Apicurio, by its Confluent API.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Process, eventually, free_port, repository};

/// A running registry, which keeps its schemas over a stop.
pub struct SchemaRegistry {
    process: Option<Process>,
    folder: TempDir,
    port: u16,
    http: reqwest::Client,
}

impl SchemaRegistry {
    /// Starts one and waits until it answers.
    pub async fn start() -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut registry = Self { process: None, folder: tempfile::tempdir().unwrap(), port: free_port(), http };
        registry.start_again().await;
        registry
    }

    /// Starts it where it was.
    pub async fn start_again(&mut self) {
        let folder: PathBuf = self.folder.path().to_owned();
        let mut command = Command::new(repository().join("scripts/registry-server.sh"));
        command.arg(&folder).arg(self.port.to_string());
        self.process = Some(Process::start("the schema registry", command, folder.join("stderr.log")));
        let url = format!("{}/subjects", self.url());
        eventually("the schema registry answers", async || {
            self.http.get(&url).send().await.ok()?.status().is_success().then_some(())
        })
        .await;
    }

    /// Stops it in order: it knows all of its schemas when it is started again.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop();
        }
    }

    /// Its Confluent API.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/apis/ccompat/v7", self.port)
    }

    /// What it answers at `path`.
    pub async fn get(&self, path: &str) -> Value {
        self.http.get(format!("{}/{path}", self.url())).send().await.unwrap().json().await.unwrap()
    }

    /// Registers a schema as any other client does; its id.
    pub async fn register(&self, subject: &str, schema: &str) -> u32 {
        let url = format!("{}/subjects/{subject}/versions", self.url());
        let response = self.http.post(url).json(&json!({ "schema": schema })).send().await.unwrap();
        let answer: Value = response.json().await.unwrap();
        answer["id"].as_u64().unwrap_or_else(|| panic!("{answer}")).try_into().unwrap()
    }
}
