//! The roles, each a set of named tasks. `driftmill up` spawns all of them into one supervisor; a role that runs alone
//! spawns its own: the tasks are the same.

pub mod produce;
pub mod train;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use driftmill_gateway::GatewayOptions;
use driftmill_mlflow::{Mirror, MlflowSettings};
use driftmill_platform::config::Settings;
use driftmill_platform::kafka::Admin;
use driftmill_platform::stage::{self, Reading, Stage, Streaming as _};
use driftmill_platform::supervisor::{OnError, Supervisor};
use driftmill_platform::telemetry;
use driftmill_processors::audit::{self, AuditMetrics};
use driftmill_processors::drift::DriftWindows;
use driftmill_processors::expectations::{self, ExpectationMetrics};
use driftmill_processors::ingest::{AddedColumns, Ingest, IngestMetrics, Needs, TopicHistory, champion};
use driftmill_processors::sinks::{DeadLetters, DriftReports, Labels, Predictions};
use driftmill_schemas::topic::{self, Topics};
use driftmill_trainer::performance::PerformanceWatch;
use driftmill_trainer::{MirrorAliases, MirrorRuns, Reports, Requests, Rollouts, Trainer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::context::Context;
use crate::{health, shutdown};

/// How long a role may take to finish what it has in hand.
pub const GRACE: Duration = Duration::from_secs(5);

/// A role of the production layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Raw records to features; topics to tables.
    Process,
    /// Profiles to verdicts.
    Drift,
    /// Reasons to models.
    Train,
    /// Models to predictions.
    Serve,
}

/// Runs one role until it is asked to stop.
pub async fn run_alone(settings: Settings, role: Role) -> anyhow::Result<()> {
    telemetry::init(&settings.log, settings.log_format, None).map_err(anyhow::Error::msg)?;
    let cancel = CancellationToken::new();
    shutdown::listen(cancel.clone())?;
    let context = Context::new(settings)?;
    context.prepare(&cancel).await?;
    let mut supervisor = Supervisor::new(cancel);
    if let (Some(address), true) = (context.settings.metrics_listen, role != Role::Serve) {
        health::serve(address, context.metrics.clone(), &mut supervisor).await?;
    }
    spawn(role, &context, &mut supervisor).await?;
    finish(supervisor).await
}

/// Waits for the end of the supervisor's tasks; a task that failed is the error.
pub async fn finish(supervisor: Supervisor) -> anyhow::Result<()> {
    supervisor.finish(GRACE).await.map_err(|failure| anyhow::anyhow!("{}: {}", failure.task, failure.error))
}

/// Spawns the tasks of a role.
pub async fn spawn(role: Role, context: &Context, supervisor: &mut Supervisor) -> anyhow::Result<()> {
    match role {
        Role::Process => process(context, supervisor),
        Role::Drift => drift(context, supervisor),
        Role::Train => train(context, supervisor),
        Role::Serve => return serve(context, supervisor).await.map(|_| ()),
    }
}

fn process(context: &Context, supervisor: &mut Supervisor) -> anyhow::Result<()> {
    let metrics = IngestMetrics::new(&context.metrics);
    let audits = AuditMetrics::new(&context.metrics);
    let fares = ExpectationMetrics::new(&context.metrics);
    for loaded in &context.pipelines {
        let name = loaded.pipeline.name.clone();
        let topics = Topics::of(&name);
        let (sender, slot) = watch::channel(Default::default());
        let (registry, kafka, pipeline) = (context.registry.clone(), context.settings.kafka.clone(), name.clone());
        supervisor.spawn(format!("champion of {name}"), OnError::Stop, move |cancel| {
            champion::follow(pipeline, registry, kafka, sender, cancel)
        });
        let needs = Needs {
            schemas: Some(context.schemas.clone()),
            added: Some(AddedColumns::new(context.clickhouse.clone(), loaded, metrics.clone())),
            champion: slot,
            metrics: metrics.clone(),
            history: Box::new(TopicHistory::new(context.settings.kafka.clone())),
            clickhouse: Some(context.clickhouse.clone()),
            clock: Arc::clone(&context.clock),
        };
        let ingest = Ingest::new(Arc::clone(loaded), needs)?;
        let (services, reading) = (context.services(), Reading::hot(topics.raw));
        supervisor.spawn(ingest.name().to_owned(), OnError::Stop, move |cancel| {
            stage::stream(ingest, reading, services, cancel)
        });
        run_stage(context, supervisor, DeadLetters::new(&name), Reading::of(topics.rejected).with_headers());
        let predictions = Predictions::new(&loaded.pipeline, context.registry.clone());
        run_stage(context, supervisor, predictions, Reading::of(topics.predictions));
        run_stage(context, supervisor, Labels::new(&name), Reading::of(topics.labels));
        run_stage(context, supervisor, DriftReports::new(&name), Reading::of(topics.drift));
        let (admin, clickhouse) = (Admin::new(&context.settings.kafka)?, context.clickhouse.clone());
        let (audits, clock) = (audits.clone(), Arc::clone(&context.clock));
        let (watched, metrics, own_clock) = (Arc::clone(loaded), fares.clone(), Arc::clone(&context.clock));
        let tables = context.clickhouse.clone();
        supervisor.spawn(format!("expectations of {name}"), OnError::Stop, move |cancel| {
            expectations::watch(watched, tables, metrics, own_clock, cancel)
        });
        supervisor.spawn(format!("audit of {name}"), OnError::Stop, move |cancel| {
            audit::watch(name, clickhouse, admin, audits, clock, cancel)
        });
    }
    Ok(())
}

fn drift(context: &Context, supervisor: &mut Supervisor) -> anyhow::Result<()> {
    for loaded in &context.pipelines {
        let (registry, kafka) = (context.registry.clone(), context.settings.kafka.clone());
        let stage = DriftWindows::new(Arc::clone(loaded), registry, kafka, Arc::clone(&context.clock));
        run_stage(context, supervisor, stage, Reading::of(Topics::of(&loaded.pipeline.name).profiles));
    }
    Ok(())
}

fn train(context: &Context, supervisor: &mut Supervisor) -> anyhow::Result<()> {
    let trainer = Arc::new(Trainer::new(
        context.pipelines.clone(),
        context.clickhouse.clone(),
        context.registry.clone(),
        Arc::clone(&context.clock),
    ));
    run_stage(context, supervisor, Requests::new(Arc::clone(&trainer)), Reading::of(topic::TRAININGS));
    for loaded in &context.pipelines {
        let name = &loaded.pipeline.name;
        run_stage(context, supervisor, Reports::new(Arc::clone(&trainer), name), Reading::of(Topics::of(name).drift));
    }
    mirror(context, supervisor)?;
    let rollouts = Rollouts::new(
        context.pipelines.clone(),
        context.clickhouse.clone(),
        context.registry.clone(),
        Arc::clone(&context.clock),
    );
    let watch = PerformanceWatch::new(
        context.pipelines.clone(),
        context.clickhouse.clone(),
        context.registry.clone(),
        context.producer.clone(),
        Arc::clone(&context.clock),
        &context.metrics,
    );
    supervisor.spawn("performance", OnError::Stop, move |cancel| watch.run(cancel));
    supervisor.spawn("rollouts", OnError::Stop, move |cancel| rollouts.run(cancel));
    let fires = Arc::clone(&trainer);
    supervisor.spawn("schedules", OnError::Stop, move |cancel| driftmill_trainer::fire(fires, cancel));
    supervisor.spawn("first trainings", OnError::Stop, move |cancel| async move {
        trainer.train_the_untrained(cancel).await
    });
    Ok(())
}

/// Mirrors runs and aliases to the MLflow server that the environment names, if it does.
fn mirror(context: &Context, supervisor: &mut Supervisor) -> anyhow::Result<()> {
    let Some(settings) = MlflowSettings::from_env(&|name| std::env::var(name).ok())? else { return Ok(()) };
    let mirror = Mirror::new(&settings)?;
    info!(server = %settings.address(), "runs and models are mirrored to MLflow");
    let runs = MirrorRuns::new(mirror.clone(), context.registry.clone(), &context.pipelines);
    run_stage(context, supervisor, runs, Reading::of(topic::RUNS));
    run_stage(context, supervisor, MirrorAliases::new(mirror), Reading::of(topic::MODELS));
    Ok(())
}

/// Spawns the gateway and returns the address it listens on.
pub async fn serve(context: &Context, supervisor: &mut Supervisor) -> anyhow::Result<std::net::SocketAddr> {
    let address = context.settings.gateway_listen;
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("the gateway cannot listen on {address}; give another address with --gateway-listen")
    })?;
    let bound = listener.local_addr()?;
    let options = GatewayOptions {
        settings: context.settings.clone(),
        pipelines: context.pipelines.clone(),
        metrics: context.metrics.clone(),
        clock: Arc::clone(&context.clock),
        registry: context.registry.clone(),
        producer: context.producer.clone(),
        schemas: context.schemas.clone(),
    };
    supervisor.spawn("gateway", OnError::Stop, move |cancel| driftmill_gateway::serve(options, listener, cancel));
    Ok(bound)
}

fn run_stage(context: &Context, supervisor: &mut Supervisor, stage: impl Stage + 'static, reading: Reading) {
    let services = context.services();
    supervisor
        .spawn(stage.name().to_owned(), OnError::Stop, move |cancel| stage::run(stage, reading, services, cancel));
}
