//! `driftmill up`: the whole pipeline on one machine. It starts a broker and a ClickHouse of its own, points the ordinary
//! roles to them by URL, and shows what goes on.
//!
//! ```text
//! lock the data folder ─► broker, engine ─► topics, tables ─► roles ─► sources ─► status … ─► drain ─► engine, broker
//! ```

mod embedded;
mod own;
mod running;
mod sources;

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use driftmill_platform::config::Settings;
use driftmill_platform::supervisor::Supervisor;
use driftmill_platform::telemetry;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::args::Up;
use crate::context::{Context, log_file};
use crate::roles::{self, Role};
use crate::status::{self, Style};
use crate::{pipelines, shutdown};

use embedded::Embedded;

pub use own::Own;
pub use running::addresses;

/// When this process was started as the ClickHouse engine's child, is it until the engine ends.
pub fn engine_child() -> Option<ExitCode> {
    embedded::engine_child()
}

/// Starts everything and runs until asked to stop.
pub async fn run(settings: Settings, up: Up) -> anyhow::Result<()> {
    let terminal = std::io::stdout().is_terminal() && !up.json;
    // A pipeline file that is wrong is said before anything starts.
    pipelines::load_all(&settings.pipelines)?;
    let cancel = CancellationToken::new();
    shutdown::listen(cancel.clone())?;
    let data = embedded::claim(&settings.data_dir)?;
    // On a terminal the table has the screen to itself, and the log goes to a file.
    let log = settings.data_dir.join("driftmill.log");
    let file = if terminal { Some(log_file(&log)?) } else { None };
    telemetry::init(&settings.log, settings.log_format, file).map_err(anyhow::Error::msg)?;

    let embedded = Embedded::start(settings, &up, &cancel).await?;
    let running = running::Running::write(embedded.settings())?;
    let outcome = run_roles(&embedded, &up, terminal, &cancel).await;
    // The clients have stopped; now what they talked to.
    cancel.cancel();
    drop(running);
    embedded.stop().await;
    drop(data);
    outcome
}

async fn run_roles(embedded: &Embedded, up: &Up, terminal: bool, cancel: &CancellationToken) -> anyhow::Result<()> {
    let context = Context::new(embedded.settings().clone())?;
    context.prepare(cancel).await?;
    let mut supervisor = Supervisor::new(cancel.clone());
    let gateway = roles::serve(&context, &mut supervisor).await?;
    for role in [Role::Process, Role::Drift, Role::Train] {
        roles::spawn(role, &context, &mut supervisor).await?;
    }
    if !up.no_sources {
        sources::spawn(&context, &mut supervisor);
    }
    announce(&context.settings, gateway, terminal)?;
    let style = if terminal { Style::Table } else { Style::Json };
    let every = Duration::from_secs(if terminal { 2 } else { 5 });
    let shown = tokio::select! {
        shown = status::watch(&context, style, every, cancel.clone()) => shown,
        died = embedded.keep(cancel) => Err(anyhow::Error::msg(died)),
    };
    // Whatever ended the watching, the roles stop before what they talk to.
    cancel.cancel();
    if terminal && shown.is_ok() {
        println!("stopping: what is in hand is finished first");
    }
    let finished = roles::finish(supervisor).await;
    shown.and(finished)
}

/// Says where everything is: for people, or as the first JSON line.
fn announce(settings: &Settings, gateway: SocketAddr, terminal: bool) -> anyhow::Result<()> {
    let credentials = settings.data_dir.join("clickhouse-credentials");
    let mut out = std::io::stdout().lock();
    if terminal {
        writeln!(
            out,
            "driftmill is ready\n\
             \x20 gateway     http://{gateway}\n\
             \x20 its docs    http://{gateway}/docs/\n\
             \x20 Kafka       {}\n\
             \x20 ClickHouse  {}  (user and password: {})\n\
             \x20 log         {}\n\
             Ctrl-C stops it.\n",
            settings.kafka.brokers,
            settings.clickhouse.url,
            credentials.display(),
            settings.data_dir.join("driftmill.log").display(),
        )?;
    } else {
        let ready = json!({
            "ready": true,
            "gateway": format!("http://{gateway}"),
            "docs": format!("http://{gateway}/docs/"),
            "kafka": settings.kafka.brokers,
            "clickhouse": settings.clickhouse.url,
            "credentials": credentials,
        });
        writeln!(out, "{ready}")?;
    }
    Ok(out.flush()?)
}
