//! The gateway as a process's role: background tasks, the listener, and an orderly end.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use driftmill_platform::clock::SharedClock;
use driftmill_platform::config::Settings;
use driftmill_platform::kafka::Producer;
use driftmill_platform::metrics::Metrics;
use driftmill_platform::registry::Registry;
use driftmill_platform::schemas::Schemas;
use driftmill_platform::supervisor::{OnError, Supervisor};
use driftmill_schemas::pipeline::Loaded;
use driftmill_schemas::topic;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::app::{App, Parts};
use crate::push::PATIENCE;
use crate::router::router;
use crate::topic_reader::{From, TopicReader};
use crate::{Error, follower};

/// How long pushed records wait for others to travel with.
const LINGER: Duration = Duration::from_millis(2);
/// How long requests in flight may go on after the stop.
const DRAIN: Duration = Duration::from_secs(2);
/// How long the prediction log may go on after them.
const LOG_DRAIN: Duration = Duration::from_millis(1_500);
/// How long comparisons may go on after requests.
const SHADOWS_DRAIN: Duration = Duration::from_millis(200);
/// How long background tasks may take to notice the stop.
const TASKS_DRAIN: Duration = Duration::from_secs(1);

/// What the gateway runs with.
#[derive(Debug)]
pub struct GatewayOptions {
    /// Where Kafka is.
    pub settings: Settings,
    /// The pipelines to serve.
    pub pipelines: Vec<Arc<Loaded>>,
    /// The process's metrics, served at `/metrics`.
    pub metrics: Metrics,
    /// The clock.
    pub clock: SharedClock,
    /// Where models come from.
    pub registry: Registry,
    /// Where predictions and wishes to train go.
    pub producer: Producer,
    /// Where the schemas of records that are pushed are announced.
    pub schemas: Schemas,
}

/// Serves until `cancel` fires; then stops accepting, ends what is in flight, flushes the prediction log, and returns
/// within five seconds. The control topics need not exist yet, nor Kafka or ClickHouse answer: models are served as soon
/// as they can be had.
pub async fn serve(options: GatewayOptions, listener: TcpListener, cancel: CancellationToken) -> Result<(), Error> {
    let stop = cancel.child_token();
    // A producer of its own: what waits here for Kafka must not hold up the prediction log, and is given up sooner.
    let broker = Producer::with_patience(&options.settings.kafka, LINGER, PATIENCE)?;
    let app = App::new(Parts {
        pipelines: options.pipelines,
        catalog: Arc::new(options.registry),
        sink: Arc::new(options.producer.clone()),
        bus: Arc::new(options.producer),
        broker: Arc::new(broker),
        schemas: Arc::new(options.schemas),
        metrics: options.metrics,
        clock: options.clock,
        instance: Uuid::new_v4(),
        stop: stop.clone(),
    })?;
    let address = listener.local_addr()?;
    let mut tasks = Supervisor::new(stop.clone());
    start_followers(&app, &options.settings, &mut tasks);

    let listener = listener.tap_io(|stream| {
        // Small answers must not wait for the acknowledgement of earlier ones.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "TCP_NODELAY cannot be set");
        }
    });
    let service = router(&app).into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
    info!(%address, pipelines = app.pipelines.len(), "the gateway listens");
    let drained = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    let outcome = tokio::select! {
        outcome = server.into_future() => outcome,
        () = drained => {
            warn!("requests were still in flight after {DRAIN:?} and are abandoned");
            Ok(())
        }
    };
    stop.cancel();
    app.shadows.close(SHADOWS_DRAIN).await;
    app.log.close(LOG_DRAIN).await;
    tasks.finish(TASKS_DRAIN).await.map_err(Error::Task)?;
    Ok(outcome?)
}

fn start_followers(app: &Arc<App>, settings: &Settings, tasks: &mut Supervisor) {
    for served in app.pipelines.values() {
        let (app, served) = (Arc::clone(app), Arc::clone(served));
        tasks.spawn(format!("gateway: model of {}", served.name), OnError::Stop, |cancel| {
            follower::keep_current(app, served, cancel)
        });
    }
    let reader = |topic, from| TopicReader { kafka: settings.kafka.clone(), topic, from, seed: app.seed };
    let announcements = reader(topic::MODELS, From::Beginning);
    let follows = Arc::clone(app);
    tasks.spawn("gateway: announcements", OnError::Stop, |cancel| {
        announcements.run(cancel, || {}, move |payload| follower::announced(&follows, payload))
    });
    if app.iris.is_some() {
        let outcomes = reader(topic::RUNS, From::Now);
        let (readies, observes) = (Arc::clone(app), Arc::clone(app));
        tasks.spawn("gateway: outcomes of trainings", OnError::Stop, |cancel| {
            outcomes.run(
                cancel,
                move || readies.trainings.set_ready(),
                move |payload| {
                    observes.trainings.observe(payload);
                },
            )
        });
    }
}
