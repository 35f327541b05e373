//! What goes on: topics, lag, rows, models, verdicts. One look is a value; a terminal gets a table, anything else JSON.

mod look;
mod table;

pub use look::{Look, look};

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use driftmill_platform::config::Settings;
use driftmill_platform::kafka::Admin;
use driftmill_platform::telemetry;
use tokio_util::sync::CancellationToken;

use crate::args::Status;
use crate::context::Context;
use crate::shutdown;

/// `driftmill status`.
pub async fn run(settings: Settings, status: &Status) -> anyhow::Result<()> {
    telemetry::init("error", settings.log_format, None).map_err(anyhow::Error::msg)?;
    let context = Context::new(settings)?;
    let style = if status.json || !std::io::stdout().is_terminal() { Style::Json } else { Style::Table };
    let cancel = CancellationToken::new();
    shutdown::listen(cancel.clone())?;
    match status.watch {
        Some(seconds) => watch(&context, style, Duration::from_secs(seconds.max(1)), cancel).await,
        None => {
            let admin = Admin::new(&context.settings.kafka)?;
            show(style, &look(&context, &admin).await?)
        }
    }
}

/// How a look is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A table that is drawn over itself.
    Table,
    /// One JSON object a line.
    Json,
}

/// Looks again and again until `cancel` fires.
pub async fn watch(context: &Context, style: Style, every: Duration, cancel: CancellationToken) -> anyhow::Result<()> {
    let admin = Admin::new(&context.settings.kafka)?;
    let mut drawn = 0;
    loop {
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            seen = look(context, &admin) => match seen {
                Ok(seen) if style == Style::Table => drawn = redraw(&seen, drawn)?,
                Ok(seen) => show(style, &seen)?,
                // A look that fails is no reason to stop: what is looked at reports its own faults.
                Err(error) => tracing::debug!(%error, "no status this time"),
            },
        }
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            () = tokio::time::sleep(every) => {}
        }
    }
}

fn show(style: Style, seen: &Look) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match style {
        Style::Table => write!(out, "{}", table::render(seen))?,
        Style::Json => writeln!(out, "{}", serde_json::to_string(seen)?)?,
    }
    Ok(out.flush()?)
}

/// Draws the table over the one before, which had `drawn` lines; returns how many it has.
fn redraw(seen: &Look, drawn: u16) -> anyhow::Result<u16> {
    use crossterm::{cursor, queue, terminal};
    let text = table::render(seen);
    let mut out = std::io::stdout().lock();
    if drawn > 0 {
        queue!(out, cursor::MoveToPreviousLine(drawn))?;
    }
    queue!(out, terminal::Clear(terminal::ClearType::FromCursorDown))?;
    write!(out, "{text}")?;
    out.flush()?;
    Ok(u16::try_from(text.lines().count()).unwrap_or(0))
}
