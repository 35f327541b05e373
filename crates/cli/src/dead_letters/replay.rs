//! `driftmill dead-letters replay`: page by page, with a bar, and a report at its end.

use std::collections::BTreeSet;
use std::sync::Arc;

use driftmill_platform::clickhouse;
use driftmill_processors::dead_letters::{Filter, Letter, Originals, Outcome, Parts, Replayer, Table};
use driftmill_processors::ingest::TopicHistory;
use driftmill_schemas::pipeline::Loaded;
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::args::Replay;
use super::report::{Report, line};
use super::{filter, spinner};
use crate::context::Context;

/// Letters that are looked at together.
const PAGE: usize = 5_000;

/// Replays letters until none is left to try, or `cancel` fires. Letters that were asked for and are left are an error.
pub async fn run(
    context: &Context,
    loaded: Arc<Loaded>,
    table: Table,
    asked: &Replay,
    cancel: &CancellationToken,
) -> anyhow::Result<()> {
    let filter = filter(&asked.chosen, context.clock.now())?;
    let originals = Originals::new(&context.settings.kafka, context.store.clone(), table.topics().clone())?;
    let parts = Parts {
        table: table.clone(),
        originals,
        clickhouse: context.clickhouse.clone(),
        producer: context.producer.clone(),
        schemas: context.schemas.clone(),
        history: Box::new(TopicHistory::new(context.settings.kafka.clone())),
        clock: Arc::clone(&context.clock),
    };
    let mut replayer = Replayer::new(loaded, parts, asked.dry_run)?;
    let waiting = spinner(format!("looking at the dead letters of {}", asked.pipeline));
    let mut pages = Pages::new(&table, filter, asked).await?;
    drop(waiting);
    let bar = ProgressBar::new(pages.total);
    if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos} of {len} looked at, {eta} left") {
        bar.set_style(style);
    }
    bar.set_prefix(asked.pipeline.clone());
    bar.tick();
    let mut report = Report::default();
    let replayed = replay_all(&mut replayer, &mut pages, asked, &bar, &mut report, cancel).await;
    bar.finish_and_clear();
    // Also of what was done before an error.
    print!("{}", report.written(&asked.pipeline, asked.dry_run));
    replayed?;
    verdict(&report, asked, cancel.is_cancelled())
}

async fn replay_all(
    replayer: &mut Replayer,
    pages: &mut Pages<'_>,
    asked: &Replay,
    bar: &ProgressBar,
    report: &mut Report,
    cancel: &CancellationToken,
) -> anyhow::Result<()> {
    // Who asks for letters by name, or what would be, wants to hear of each.
    let tell = |origin: &str, outcome: &Outcome| {
        if asked.dry_run || !asked.origins.is_empty() {
            bar.suspend(|| println!("{}", line(origin, outcome, asked.dry_run)));
        }
    };
    while let Some((letters, unknown)) = pages.next().await? {
        let outcomes = replayer.replay(&letters, cancel).await?;
        for origin in &unknown {
            let why = format!("`{}` has no dead letter of this name", asked.pipeline);
            report.miss(origin, &why);
            tell(origin, &Outcome::Impossible(why));
        }
        for (letter, outcome) in letters.iter().zip(&outcomes) {
            report.add(letter, outcome);
            tell(&letter.origin, outcome);
        }
        bar.inc((letters.len() + unknown.len()) as u64);
        if cancel.is_cancelled() {
            break;
        }
    }
    Ok(())
}

fn verdict(report: &Report, asked: &Replay, stopped: bool) -> anyhow::Result<()> {
    let (refused, impossible) = report.left();
    // Of letters that nobody named, those that no replay can help are only told.
    let left = refused + if asked.origins.is_empty() { 0 } else { impossible };
    if stopped {
        anyhow::bail!("stopped before the end; the next replay goes on");
    }
    if left > 0 {
        anyhow::bail!("{left} dead letters are left: `driftmill dead-letters show {} ORIGIN` says why", asked.pipeline);
    }
    Ok(())
}

/// The letters that were asked for, some at a time.
struct Pages<'a> {
    table: &'a Table,
    filter: Filter,
    total: u64,
    source: Source,
}

enum Source {
    /// These, by name.
    Named(Vec<String>),
    /// All that the filter lets through, after this name.
    All(String),
    Done,
}

impl<'a> Pages<'a> {
    async fn new(table: &'a Table, filter: Filter, asked: &Replay) -> Result<Self, clickhouse::Error> {
        if asked.origins.is_empty() {
            let total = table.count(&filter).await?;
            return Ok(Self { table, filter, total, source: Source::All(String::new()) });
        }
        let names: BTreeSet<&String> = asked.origins.iter().collect();
        let total = names.len() as u64;
        Ok(Self { table, filter, total, source: Source::Named(names.into_iter().cloned().collect()) })
    }

    /// The next letters, and names that no letter has; `None` after the last.
    async fn next(&mut self) -> Result<Option<(Vec<Letter>, Vec<String>)>, clickhouse::Error> {
        match &mut self.source {
            Source::Done => Ok(None),
            Source::Named(names) => {
                let page: Vec<String> = names.drain(..names.len().min(PAGE)).collect();
                if page.is_empty() {
                    return Ok(None);
                }
                let letters = self.table.named(&page).await?;
                let found: BTreeSet<&String> = letters.iter().map(|letter| &letter.origin).collect();
                let unknown = page.into_iter().filter(|name| !found.contains(name)).collect();
                Ok(Some((letters, unknown)))
            }
            Source::All(after) => {
                let letters = self.table.page(&self.filter, after, PAGE as u64).await?;
                let Some(last) = letters.last() else {
                    self.source = Source::Done;
                    return Ok(None);
                };
                *after = last.origin.clone();
                Ok(Some((letters, Vec::new())))
            }
        }
    }
}
