//! `driftmill drift`: be the drift processor, or look at what it said, try other policies on what it saw, and release what it
//! set aside.

pub mod args;
mod backtest;
mod events;
mod explain;
mod list;
mod profile;
mod release;

use driftmill_platform::telemetry;

use crate::args::Located;
use crate::backing::Backing;
use crate::pipelines;
use crate::roles::{self, Role};
use args::{Drift, Look};

/// Runs the role, or a command.
pub async fn run(located: Located, asked: Drift) -> anyhow::Result<()> {
    let Some(look) = asked.command else { return roles::run_alone(located.settings, Role::Drift).await };
    telemetry::init("warn", located.settings.log_format, None).map_err(anyhow::Error::msg)?;
    let loaded = pipelines::load_one(&located.settings.pipelines, look.pipeline())?;
    let backing = Backing::find(located).await?;
    let outcome = async {
        let context = backing.context().await?;
        match &look {
            Look::List(asked) => list::run(&context, asked).await,
            Look::Explain(asked) => explain::run(&context, asked).await,
            Look::Profile(asked) => profile::run(&context, asked).await,
            Look::Release(asked) => release::run(&context, asked).await,
            Look::Backtest(asked) => backtest::run(&context, &loaded, asked).await,
        }
    };
    let outcome = outcome.await;
    backing.stop().await;
    outcome
}
