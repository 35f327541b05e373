//! A broker and an engine for one command, on the data folder that `driftmill up` uses: what the command leaves there is
//! there when it is started.

use driftmill_embedded::DataDir;
use driftmill_platform::config::Settings;
use tokio_util::sync::CancellationToken;

use super::embedded::{self, Embedded};
use crate::args::Up;

/// What a command started for itself.
pub struct Own {
    embedded: Embedded,
    _data: DataDir,
}

impl Own {
    /// Starts both on free ports.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        let data = embedded::claim(&settings.data_dir)?;
        let up = Up {
            broker_port: 0,
            clickhouse_port: 0,
            external_kafka: false,
            join_groups: false,
            no_sources: true,
            json: true,
        };
        let embedded = Embedded::start(settings, &up, &CancellationToken::new()).await?;
        Ok(Self { embedded, _data: data })
    }

    /// Settings that point to what was started.
    pub fn settings(&self) -> &Settings {
        self.embedded.settings()
    }

    /// Stops both; then the folder is free.
    pub async fn stop(self) {
        self.embedded.stop().await;
    }
}
