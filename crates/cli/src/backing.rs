//! What a command that needs ClickHouse and Kafka for a moment talks to: those that the settings name, those of the
//! `driftmill up` that runs on the same data folder, or, when there is neither, a broker and an engine of its own on that
//! folder, for as long as the command takes.

use driftmill_platform::config::Settings;
#[cfg(feature = "embedded")]
use tokio_util::sync::CancellationToken;

use crate::args::Located;
use crate::context::Context;
#[cfg(feature = "embedded")]
use crate::up::Own;

/// The services of one command.
pub struct Backing {
    settings: Settings,
    #[cfg(feature = "embedded")]
    own: Option<Own>,
}

impl Backing {
    /// Finds the services, or starts them.
    pub async fn find(located: Located) -> anyhow::Result<Self> {
        #[cfg(feature = "embedded")]
        if located.nothing_runs {
            let own = Own::start(located.settings).await?;
            return Ok(Self { settings: own.settings().clone(), own: Some(own) });
        }
        Ok(Self {
            settings: located.settings,
            #[cfg(feature = "embedded")]
            own: None,
        })
    }

    /// Whether nobody else can be working with them.
    pub fn is_own(&self) -> bool {
        #[cfg(feature = "embedded")]
        return self.own.is_some();
        #[cfg(not(feature = "embedded"))]
        false
    }

    /// Settings that point to them.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Adapters for a command that only reads. Tables are made where nobody else could have made them.
    pub async fn context(&self) -> anyhow::Result<Context> {
        let context = Context::new(self.settings.clone())?;
        #[cfg(feature = "embedded")]
        if self.own.is_some() {
            context.tables(&CancellationToken::new()).await?;
        }
        Ok(context)
    }

    /// Stops what was started.
    pub async fn stop(self) {
        #[cfg(feature = "embedded")]
        if let Some(own) = self.own {
            own.stop().await;
        }
    }
}
