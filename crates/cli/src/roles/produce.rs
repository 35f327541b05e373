//! `driftmill produce`: send sources, with a bar for each and a summary at its end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use driftmill_platform::backoff::{Backoff, until_done};
use driftmill_platform::config::Settings;
use driftmill_platform::schemas::{self, Announce as _};
use driftmill_platform::supervisor::Supervisor;
use driftmill_platform::telemetry;
use driftmill_producers::{Job, Pipe, PipeFormat, Progress, Services, Summary};
use driftmill_schemas::name;
use driftmill_schemas::pipeline::{CsvSource, JsonLinesSource, Loaded, Source, Start};
use futures::future::try_join_all;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub use driftmill_producers::Overrides;

use crate::args::{Format, Produce};
use crate::context::Context;
use crate::{health, pipelines, shutdown};

/// How often a run without a terminal tells how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Sends the chosen sources, one after the other; those that never end, all at once.
pub async fn run(settings: Settings, produce: Produce) -> anyhow::Result<()> {
    telemetry::init("warn", settings.log_format, None).map_err(anyhow::Error::msg)?;
    if let Some(pipeline) = &produce.pipeline {
        pipelines::load_one(&settings.pipelines, pipeline)?;
    }
    let cancel = CancellationToken::new();
    shutdown::listen(cancel.clone())?;
    let context = Context::new(settings)?;
    let chosen = choose(&context, &produce)?;
    context.prepare(&cancel).await?;
    // Sources that never end are watched; the task ends with this function.
    let mut watched = Supervisor::new(cancel.child_token());
    if let Some(address) = context.settings.metrics_listen {
        health::serve(address, context.metrics.clone(), &mut watched).await?;
    }
    let pipe = produce.stdin.then(|| {
        let format = if produce.format == Format::Avro { PipeFormat::Avro } else { PipeFormat::Declared };
        Pipe::new(std::io::stdin(), format)
    });
    let overrides = Overrides {
        rows: produce.rows,
        rate: produce.rate,
        seed: produce.seed,
        signal: produce.signal,
        from: produce.from.clone(),
        restart: produce.restart || (produce.stdin && !produce.resume),
        skip: produce.skip,
    };
    let (following, ending): (Vec<_>, Vec<_>) = chosen.into_iter().partition(|(_, source)| source.follows());
    let run = async |loaded: Arc<Loaded>, source: Source| {
        let title = format!("{}/{}", loaded.pipeline.name, source.name);
        let job = Job { pipe: pipe.clone(), ..job(&context, loaded, source, overrides.clone(), &cancel).await? };
        send_and_tell(&context, title, job, &cancel).await
    };
    for (loaded, source) in ending {
        run(loaded, source).await?;
        if cancel.is_cancelled() {
            return Ok(());
        }
    }
    // None of these would leave the next one its turn.
    try_join_all(following.into_iter().map(|(loaded, source)| run(loaded, source))).await?;
    Ok(())
}

/// Sends one source, and tells how far it is and what came of it.
async fn send_and_tell(context: &Context, title: String, job: Job, cancel: &CancellationToken) -> anyhow::Result<()> {
    let piped = job.pipe.is_some();
    let (sender, progress) = watch::channel(Progress::default());
    let drawing = tokio::spawn(draw(title.clone(), progress.clone()));
    let sent = send(job, services(context, sender), cancel.clone()).await;
    // The sender is gone with the run, so the bar ends by itself.
    drawing.await.ok();
    if piped && !sent.as_ref().is_ok_and(|summary| summary.complete) {
        let rows = progress.borrow().position.sequence;
        println!(
            "{title}: {rows} rows are acknowledged; feed it the same rows again with --resume (or --skip {rows}) to go on"
        );
    }
    print(&title, &sent.with_context(|| title.clone())?);
    Ok(())
}

/// The sources that were asked for.
fn choose(context: &Context, produce: &Produce) -> anyhow::Result<Vec<(Arc<Loaded>, Source)>> {
    if produce.pipeline.is_none() && (produce.source.is_some() || produce.from.is_some()) {
        bail!("say which pipeline: `driftmill produce PIPELINE --source NAME`");
    }
    if produce.stdin && produce.source.is_none() {
        let loaded = context.pipelines.iter().find(|loaded| Some(&loaded.pipeline.name) == produce.pipeline.as_ref());
        return Ok(loaded.map(|loaded| (Arc::clone(loaded), standard_input(produce.format))).into_iter().collect());
    }
    let mut chosen = Vec::new();
    for loaded in &context.pipelines {
        let pipeline = &loaded.pipeline;
        if produce.pipeline.as_ref().is_some_and(|wanted| *wanted != pipeline.name) {
            continue;
        }
        match &produce.source {
            Some(wanted) => {
                let names = || pipeline.sources.iter().map(|source| source.name.as_str());
                let source = pipeline.sources.iter().find(|source| source.name == *wanted).with_context(|| {
                    let hint = name::did_you_mean(wanted, names());
                    format!("pipeline `{}` has no source `{wanted}`{hint}", pipeline.name)
                })?;
                chosen.push((Arc::clone(loaded), source.clone()));
            }
            None => {
                let automatic = pipeline.sources.iter().filter(|source| source.start == Start::Automatic);
                chosen.extend(automatic.map(|source| (Arc::clone(loaded), source.clone())));
            }
        }
    }
    if chosen.is_empty() {
        bail!("nothing to send: no source starts by itself; name one with --source");
    }
    Ok(chosen)
}

/// The standard input as a source of rows whose columns have the fields' names.
fn standard_input(format: Format) -> Source {
    let mut source = Source { name: "stdin".to_owned(), ..Source::default() };
    match format {
        Format::Csv => source.csv = Some(CsvSource::at("-")),
        // A container needs no declaration; something must be declared.
        Format::JsonLines | Format::Avro => source.json_lines = Some(JsonLinesSource::at("-")),
    }
    source
}

/// A run of one source, whose schema is announced first: one that is incompatible with its earlier versions is refused here,
/// before anything is written. While the schema registry or Kafka is away, it is tried again until `cancel` fires.
pub async fn job(
    context: &Context,
    loaded: Arc<Loaded>,
    source: Source,
    overrides: Overrides,
    cancel: &CancellationToken,
) -> Result<Job, schemas::Error> {
    let backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5), 0);
    let told = |error: &schemas::Error, pause| warn!(%error, ?pause, "the schema is announced in a moment");
    let framing =
        until_done(cancel, backoff, told, || context.schemas.announce(&loaded.pipeline, &loaded.schema)).await?;
    Ok(Job { loaded, source, pipe: None, overrides, framing })
}

/// What a run of a source needs; `progress` hears how far it is.
pub fn services(context: &Context, progress: watch::Sender<Progress>) -> Services {
    Services {
        producer: context.producer.clone(),
        settings: context.settings.kafka.clone(),
        store: context.store.clone(),
        clock: Arc::clone(&context.clock),
        progress,
        schemas: Some(context.schemas.clone()),
        metrics: context.source_metrics.clone(),
    }
}

/// Sends a source to its end. When Kafka or the store is away, it goes on where it stopped as soon as they are back; a
/// pipe, which cannot be read twice, ends instead.
pub async fn send(
    job: Job,
    services: Services,
    cancel: CancellationToken,
) -> Result<Summary, driftmill_producers::Error> {
    if job.pipe.is_some() {
        return driftmill_producers::run(job, services, cancel).await;
    }
    let backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5), 0);
    let told = |error: &driftmill_producers::Error, pause| warn!(%error, ?pause, "the source goes on in a moment");
    until_done(&cancel, backoff, told, || driftmill_producers::run(job.clone(), services.clone(), cancel.clone())).await
}

async fn draw(title: String, mut progress: watch::Receiver<Progress>) {
    let bar = ProgressBar::new(1000).with_prefix(title);
    let bounded = ProgressStyle::with_template("{prefix} {wide_bar} {percent:>3} %  {msg}");
    let endless = ProgressStyle::with_template("{prefix} {spinner} {msg}");
    // Without a terminal there is no bar, and whoever kills the run should know how far it came.
    let lines = bar.is_hidden();
    let mut told = Instant::now();
    let mut known = None;
    while progress.changed().await.is_ok() {
        let now = *progress.borrow_and_update();
        let share = now.share();
        if known != Some(share.is_some()) {
            known = Some(share.is_some());
            if let Ok(style) = if share.is_some() { &bounded } else { &endless } {
                bar.set_style(style.clone());
            }
        }
        bar.set_position((share.unwrap_or_default() * 1000.0) as u64);
        bar.set_message(format!("{} sent, {} unreadable{}", now.sent, now.unreadable, polls(&now)));
        if lines && told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            eprintln!("{}: {} rows are acknowledged{}", bar.prefix(), now.position.sequence, polls(&now));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bar.finish_and_clear();
}

/// What a source that polls has asked for; nothing for others.
fn polls(progress: &Progress) -> String {
    match (progress.polls, progress.failed_polls) {
        (0, _) => String::new(),
        (polls, failed) => format!(", {failed} of {polls} polls failed"),
    }
}

/// The summary: what was sent, what could not be read and where.
fn print(title: &str, summary: &Summary) {
    println!(
        "{title}: {} records sent, {} were there already, {} could not be read{}",
        summary.sent,
        summary.skipped_already_there,
        summary.unreadable,
        if summary.complete { "" } else { "; stopped before the end, the next run goes on from here" }
    );
    if summary.failed_polls > 0 {
        let (failed, polls) = (summary.failed_polls, summary.polls);
        println!("  {failed} of {polls} polls failed, and were made again");
    }
    for note in &summary.notes {
        println!("  note: {note}");
    }
    for (kind, count) in &summary.unreadable_by_kind {
        println!("  {count} × {kind}");
    }
    for unread in &summary.first_unreadable {
        println!("  {}: {}", unread.place, unread.reason);
    }
    let left = summary.unreadable.saturating_sub(summary.first_unreadable.len() as u64);
    if left > 0 {
        println!("  … and {left} more; all of them are in the dead letters");
    }
}
