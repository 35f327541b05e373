//! `driftmill drift backtest`: policies tried on the panes that are stored.

use anyhow::{Context as _, bail};
use driftmill_drift::RetrainDecision;
use driftmill_processors::drift::{Moment, Rehearsal, Seen, read_history};
use driftmill_schemas::pipeline::{DriftPolicy, Loaded};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::args::Backtest;
use crate::context::Context;
use crate::text::shortened;
use crate::{shutdown, time};

/// Characters of a reason in a line.
const REASON_SHOWN: usize = 110;

/// A policy and what it would have done.
struct Tried {
    name: String,
    moments: Vec<Moment>,
    passed_over: u64,
}

/// Tries the pipeline file's policy and those that are given.
pub async fn run(context: &Context, loaded: &Loaded, asked: &Backtest) -> anyhow::Result<()> {
    let mut policies = vec![("the pipeline file's".to_owned(), loaded.pipeline.drift.clone())];
    for given in &asked.policies {
        policies.push((given.clone(), changed(loaded, given)?));
    }
    let cancel = CancellationToken::new();
    shutdown::listen(cancel.clone())?;
    let bar = ProgressBar::new(0).with_message("reading the stored panes");
    let (registry, pipeline) = (context.registry.clone(), &loaded.pipeline.name);
    let mut rehearsals: Vec<(String, Rehearsal)> =
        policies.into_iter().map(|(name, policy)| (name, Rehearsal::new(policy))).collect();
    let mut failed = None;
    let seen = read_history(&context.settings.kafka, registry, pipeline, &cancel, |stored, (read, of)| {
        bar.set_length(of);
        bar.set_position(read);
        for (name, rehearsal) in &mut rehearsals {
            let taken = rehearsal.take(stored.offset, stored.at, stored.stream, &stored.layout, stored.pane.clone());
            failed = failed.take().or(taken.err().map(|error| anyhow::anyhow!("policy {name}: {error}")));
        }
    })
    .await;
    bar.finish_and_clear();
    let seen = seen?;
    if let Some(error) = failed {
        return Err(error);
    }
    if seen.panes == 0 {
        bail!("the topic of `{pipeline}`'s profiles holds no pane yet: they are counted once a model serves");
    }
    let tried: Vec<Tried> = rehearsals
        .into_iter()
        .map(|(name, rehearsal)| {
            let (moments, passed_over) = rehearsal.finish();
            Tried { name, moments, passed_over }
        })
        .collect();
    if asked.json {
        tried.iter().for_each(|tried| println!("{}", described(tried)));
    } else {
        print!("{}", told(&seen, &tried, asked.events));
    }
    Ok(())
}

/// The pipeline file's policy with some settings changed.
fn changed(loaded: &Loaded, given: &str) -> anyhow::Result<DriftPolicy> {
    let mut policy = serde_json::to_value(&loaded.pipeline.drift)?;
    for pair in given.split(',') {
        let (key, value) = pair.split_once('=').with_context(|| format!("`{pair}`: write KEY=VALUE"))?;
        let value: Value = serde_json::from_str(value).with_context(|| format!("`{pair}`: the value is no JSON"))?;
        policy[key.trim()] = value;
    }
    let policy: DriftPolicy = serde_json::from_value(policy).with_context(|| format!("--policy {given}"))?;
    match policy.faults(&loaded.pipeline.features).first() {
        Some(fault) => bail!("--policy {given}: {fault}"),
        None => Ok(policy),
    }
}

impl Tried {
    fn count(&self, verdict: &str) -> usize {
        self.moments.iter().filter(|moment| moment.verdict == verdict).count()
    }

    fn trainings(&self) -> usize {
        let began = |moment: &&Moment| matches!(moment.decision, Some(RetrainDecision::Train { .. }));
        self.moments.iter().filter(began).count()
    }
}

fn told(seen: &Seen, tried: &[Tried], events: bool) -> String {
    let (first, last) = seen.span.unwrap_or_default();
    let mut text = format!(
        "{} panes of {} records, {} to {} UTC\n\n",
        seen.panes,
        seen.records,
        time::short(first),
        time::short(last)
    );
    let name = tried.iter().map(|tried| tried.name.chars().count()).max().unwrap_or(0).max(6);
    text.push_str(&format!(
        "{:<name$}  {:>7} {:>6} {:>7} {:>7} {:>10} {:>9}  {:<19}\n",
        "policy", "stable", "alarm", "warning", "drifted", "quarantine", "trainings", "first drift (UTC)"
    ));
    for one in tried {
        let drift = one.moments.iter().find(|moment| moment.verdict == "drifted");
        text.push_str(&format!(
            "{:<name$}  {:>7} {:>6} {:>7} {:>7} {:>10} {:>9}  {:<19}\n",
            one.name,
            one.count("stable"),
            one.count("alarm"),
            one.count("warning"),
            one.count("drifted"),
            one.count("quarantine"),
            one.trainings(),
            drift.map_or_else(|| "-".to_owned(), |moment| time::short(moment.at)),
        ));
    }
    for one in tried.iter().filter(|_| events) {
        text.push_str(&format!("\n{}\n", one.name));
        for moment in one.moments.iter().filter(|moment| moment.verdict != "stable") {
            let reason = moment.reasons.first().map_or_else(String::new, |reason| shortened(reason, REASON_SHOWN));
            let decision = moment.decision.as_ref().map_or_else(String::new, |made| format!(" [{}]", made.told()));
            text.push_str(&format!(
                "{}  {:<11} v{:<4} {:<10} {:>7} rows  {reason}{decision}\n",
                time::short(moment.at),
                moment.stream.name(),
                moment.model_version,
                moment.verdict,
                moment.rows
            ));
        }
    }
    let passed_over = tried.iter().map(|tried| tried.passed_over).max().unwrap_or(0) + seen.unusable;
    if passed_over > 0 {
        text.push_str(&format!(
            "\n{passed_over} panes of versions that are gone or were being replaced are left out\n"
        ));
    }
    text.push_str(
        "\nPanes are those of the models that served: a training that would have begun changes none of them.\n",
    );
    text
}

fn described(tried: &Tried) -> Value {
    json!({
        "policy": tried.name,
        "stable": tried.count("stable"),
        "alarms": tried.count("alarm"),
        "warnings": tried.count("warning"),
        "drifted": tried.count("drifted"),
        "quarantine": tried.count("quarantine"),
        "trainings": tried.trainings(),
        "moments": tried.moments,
    })
}
