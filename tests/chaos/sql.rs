//! ClickHouse by plain HTTP, past every proxy.

use std::time::Duration;

use driftmill_platform::config;

/// A way to ask.
#[derive(Clone)]
pub struct Sql {
    http: reqwest::Client,
    settings: config::ClickHouse,
}

impl Sql {
    /// For the engine with these settings.
    pub fn new(settings: &config::ClickHouse) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        Self { http, settings: settings.clone() }
    }

    /// The answer, tab-separated; whatever went wrong as text.
    pub async fn ask(&self, query: &str) -> Result<String, String> {
        let config::ClickHouse { url, user, password, database } = &self.settings;
        let request = self
            .http
            .post(url.clone())
            .header("X-ClickHouse-User", user)
            .header("X-ClickHouse-Key", password.reveal())
            .header("X-ClickHouse-Database", database)
            .body(format!("{query} FORMAT TabSeparated"));
        let response = request.send().await.map_err(|e| e.to_string())?;
        let status = response.status();
        let text = response.text().await.map_err(|e| e.to_string())?;
        if status.is_success() { Ok(text) } else { Err(text) }
    }
}
