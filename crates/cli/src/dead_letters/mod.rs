//! `driftmill dead-letters`: browse, explain, replay.

mod args;
mod list;
mod replay;
mod report;
mod show;

pub use args::DeadLetters;

use std::time::Duration;

use driftmill_platform::config::Settings;
use driftmill_platform::telemetry;
use driftmill_processors::dead_letters::{Filter, Table};
use indicatif::ProgressBar;
use tokio_util::sync::CancellationToken;

use self::args::Chosen;
use crate::context::Context;
use crate::text;
use crate::{pipelines, shutdown, time};

/// Runs one of the subcommands.
pub async fn run(settings: Settings, command: DeadLetters) -> anyhow::Result<()> {
    telemetry::init("warn", settings.log_format, None).map_err(anyhow::Error::msg)?;
    let loaded = pipelines::load_one(&settings.pipelines, command.pipeline())?;
    let context = Context::new(settings)?;
    let table = Table::of(context.clickhouse.clone(), command.pipeline());
    let cancel = CancellationToken::new();
    match command {
        DeadLetters::List(asked) => {
            context.tables(&cancel).await?;
            list::run(&table, &asked, context.clock.now()).await
        }
        DeadLetters::Show(asked) => {
            context.tables(&cancel).await?;
            show::run(&context, &loaded, table, &asked).await
        }
        DeadLetters::Replay(asked) => {
            shutdown::listen(cancel.clone())?;
            context.prepare(&cancel).await?;
            replay::run(&context, loaded, table, &asked, &cancel).await
        }
    }
}

/// The filter that was asked for; `now` is milliseconds since 1970 UTC.
fn filter(chosen: &Chosen, now: i64) -> anyhow::Result<Filter> {
    let time = |text: &Option<String>| text.as_deref().map(|text| time::parse(text, now)).transpose();
    Ok(Filter { kind: chosen.kind.clone(), since: time(&chosen.since)?, until: time(&chosen.until)? })
}

/// Shows that something is being waited for, until it is dropped; only on a terminal.
fn spinner(message: String) -> impl Drop {
    struct Spinner(ProgressBar);
    impl Drop for Spinner {
        fn drop(&mut self) {
            self.0.finish_and_clear();
        }
    }
    let bar = ProgressBar::new_spinner().with_message(message);
    bar.enable_steady_tick(Duration::from_millis(100));
    Spinner(bar)
}
