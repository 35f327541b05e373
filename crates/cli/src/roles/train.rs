//! `driftmill train`: be the trainer, or ask it for one training and show what becomes of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use driftmill_platform::clock::SystemClock;
use driftmill_platform::kafka::{Admin, BatchPolicy, Consumer, ConsumerOptions, Outgoing, Position, Positions};
use driftmill_platform::telemetry;
use driftmill_schemas::message::{RunEvent, RunState, TrainingRequest};
use driftmill_schemas::topic;
use driftmill_trainer::{Progress, Reason, Trainer};
use indicatif::ProgressBar;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Role, run_alone};
use crate::args::{Located, Train};
use crate::backing::Backing;
use crate::context::Context;
use crate::{pipelines, rows, shutdown};

/// Runs the role, or asks for one training.
pub async fn run(located: Located, train: Train) -> anyhow::Result<()> {
    let Some(pipeline) = train.pipeline.clone() else {
        return run_alone(located.settings, Role::Train).await;
    };
    if let Some(file) = train.from.clone() {
        return from_file(located, &train, &pipeline, &file).await;
    }
    let settings = located.settings;
    telemetry::init("warn", settings.log_format, None).map_err(anyhow::Error::msg)?;
    pipelines::load_one(&settings.pipelines, &pipeline)?;
    let cancel = CancellationToken::new();
    shutdown::listen(cancel.clone())?;
    let context = Context::new(settings)?;
    context.prepare(&cancel).await?;
    let request = TrainingRequest {
        params: params(&train.params)?,
        force: train.force,
        search: train.search,
        direct: train.direct,
        ..TrainingRequest::new(Uuid::now_v7(), &pipeline, "cli", context.clock.now())
    };
    let event = ask(&context, &request, &cancel).await?;
    report(&event)
}

/// Trains on the rows of a file, in this process.
async fn from_file(located: Located, train: &Train, pipeline: &str, file: &Path) -> anyhow::Result<()> {
    telemetry::init("warn", located.settings.log_format, None).map_err(anyhow::Error::msg)?;
    let loaded = pipelines::load_one(&located.settings.pipelines, pipeline)?;
    let params = params(&train.params)?;
    let bar = ProgressBar::new_spinner().with_message(format!("reading {}", file.display()));
    bar.enable_steady_tick(Duration::from_millis(120));
    let rows = rows::read(&loaded, file, train.source.as_deref(), Arc::new(SystemClock)).await?;
    bar.suspend(|| rows.tell_rejected());
    bar.set_message("looking for ClickHouse and Kafka");
    let backing = Backing::find(located).await?;
    let outcome = async {
        let cancel = CancellationToken::new();
        shutdown::listen(cancel.clone())?;
        let context = Context::new(backing.settings().clone())?;
        context.prepare(&cancel).await?;
        let request = TrainingRequest {
            params,
            force: train.force,
            search: train.search,
            // Where nobody serves, nobody compares two versions.
            direct: train.direct || backing.is_own(),
            ..TrainingRequest::new(
                Uuid::now_v7(),
                pipeline,
                format!("cli, on the rows of {}", file.display()),
                context.clock.now(),
            )
        };
        bar.set_message(format!("training {pipeline} on {} rows", rows.rows));
        let shown = bar.clone();
        let trainer = Trainer::new(vec![loaded], context.clickhouse, context.registry, context.clock)
            .telling(move |name, step| shown.set_message(progress(name, step)));
        let reason = Reason::Request(request);
        if backing.is_own() {
            trainer.end_interrupted(pipeline, None).await?;
        }
        let outcome = tokio::select! {
            event = trainer.train_on(pipeline, &reason, Some(rows.arrow.into())) => Some(event?),
            () = cancel.cancelled() => None,
        };
        match outcome {
            Some(event) => Ok(event),
            None => {
                trainer.end_interrupted(pipeline, Some(reason.run_id(pipeline))).await?;
                bail!("stopped before the training ended; `driftmill runs {pipeline}` tells how far it got")
            }
        }
    };
    let outcome = outcome.await;
    bar.finish_and_clear();
    backing.stop().await;
    report(&outcome?.context("this request was dealt with before")?)
}

/// How far a fit has come, in one line.
fn progress(pipeline: &str, step: &Progress) -> String {
    let of = step.of.map(|of| format!(" of {of}")).unwrap_or_default();
    let metrics = step.metrics.iter().map(|(name, value)| format!(", {name} {value:.4}"));
    let device = step.device.as_ref().map(|device| format!(" on {device}")).unwrap_or_default();
    format!("training {pipeline}{device}: {} {}{of}{}", step.step, step.number, metrics.collect::<String>())
}

/// Hyper-parameters of a command line.
pub fn params(given: &[String]) -> anyhow::Result<serde_json::Map<String, serde_json::Value>> {
    given
        .iter()
        .map(|pair| {
            let (name, value) = pair.split_once('=').with_context(|| format!("`{pair}`: write NAME=JSON"))?;
            let value = serde_json::from_str(value).with_context(|| format!("`{pair}`: the value is no JSON"))?;
            Ok((name.to_owned(), value))
        })
        .collect()
}

/// Requests a training, and waits for what becomes of it.
pub async fn ask(context: &Context, request: &TrainingRequest, cancel: &CancellationToken) -> anyhow::Result<RunEvent> {
    // Where the topic ends is asked now, before the request is sent: the answer cannot fall in between.
    let marks = Admin::new(&context.settings.kafka)?.watermarks(topic::RUNS).await?;
    let from_end: Arc<dyn Positions> = Arc::new(move |_: &str, partitions: &[i32]| {
        let end =
            |p: &i32| marks.get(usize::try_from(*p).unwrap_or_default()).map_or(Position::End, |m| Position::At(m.1));
        Ok(partitions.iter().map(end).collect())
    });
    let options = ConsumerOptions {
        topic: topic::RUNS.to_owned(),
        group: None,
        headers: false,
        batch: BatchPolicy { age: Duration::from_millis(1), ..BatchPolicy::default() },
    };
    let mut runs = Consumer::start(&context.settings.kafka, options, from_end, cancel)?;
    let record = Outgoing {
        key: request.pipeline.clone().into_bytes(),
        payload: serde_json::to_vec(request)?,
        ..Outgoing::default()
    };
    context.producer.send(topic::TRAININGS, record).await?;
    let bar = ProgressBar::new_spinner().with_message(format!("asked for a training of {}", request.pipeline));
    bar.enable_steady_tick(Duration::from_millis(120));
    while let Some(batch) = runs.next().await {
        let batch = batch?;
        for i in 0..batch.len() {
            let Ok(event) = serde_json::from_slice::<RunEvent>(batch.payload(i)) else { continue };
            if event.request_id != Some(request.id) {
                continue;
            }
            if event.state.is_final() {
                bar.finish_and_clear();
                return Ok(event);
            }
            bar.set_message(format!("training {}", request.pipeline));
        }
    }
    bail!("stopped before the training ended; it goes on in the trainer")
}

/// Shows what became of a run.
pub fn report(event: &RunEvent) -> anyhow::Result<()> {
    for (name, value) in &event.metrics {
        println!("{name:<24} {value:.4}");
    }
    for gate in &event.gates {
        println!("{} {}: {}", if gate.passed { "passed " } else { "refused" }, gate.gate, gate.detail);
    }
    let version = event.model_version.map(|v| v.to_string()).unwrap_or_default();
    match event.state {
        RunState::Promoted => println!("version {version} is champion now"),
        RunState::Refused => println!(
            "version {version} is not promoted: {}\n`driftmill models promote {} {version}` does it all the same",
            event.detail, event.pipeline
        ),
        RunState::RollingOut => println!(
            "version {version} takes over step by step: `driftmill models rollout {}` tells how far it is",
            event.pipeline
        ),
        RunState::RolledBack => println!("version {version} was rolled back: {}", event.detail),
        RunState::Started | RunState::Failed | RunState::TimedOut => bail!("the training failed: {}", event.detail),
    }
    Ok(())
}
