//! Follows an alias of some pipelines: what it points to now, then every change.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use driftmill_schemas::message::AliasEvent;
use driftmill_schemas::topic;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{ModelVersion, Registry};
use crate::config;
use crate::kafka::{self, BatchPolicy, Consumer, ConsumerOptions, Position, Positions};

/// How often the registry is asked although nothing was announced: an announcement may have been lost.
const RECHECK: Duration = Duration::from_secs(30);
/// How soon a change that could not be taken over is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// Calls `changed` with the version that `alias` points to, at once and whenever it moves, until `cancel` fires. When
/// `changed` fails, it is called again with the same version a little later; what was there before stays in force.
pub async fn follow<F, Fut, E>(
    registry: Registry,
    kafka: &config::Kafka,
    pipelines: Vec<String>,
    alias: &str,
    cancel: CancellationToken,
    mut changed: F,
) -> Result<(), kafka::Error>
where
    F: FnMut(ModelVersion) -> Fut,
    Fut: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    let options = ConsumerOptions {
        topic: topic::MODELS.to_owned(),
        group: None,
        headers: false,
        batch: BatchPolicy { age: Duration::from_millis(1), ..BatchPolicy::default() },
    };
    let from_end: Arc<dyn Positions> =
        Arc::new(|_: &str, partitions: &[i32]| Ok(vec![Position::End; partitions.len()]));
    // The consumer starts before the first look at the registry, so that no change falls in between.
    let mut announcements = Consumer::start(kafka, options, from_end, &cancel)?;
    let mut known: BTreeMap<String, u64> = BTreeMap::new();
    let mut due = pipelines.clone();
    loop {
        let mut failed = Vec::new();
        for pipeline in due.drain(..) {
            match registry.resolve(&pipeline, alias).await {
                Ok(Some(version)) if known.get(&pipeline) != Some(&version.version) => {
                    let number = version.version;
                    match changed(version).await {
                        Ok(()) => {
                            known.insert(pipeline, number);
                        }
                        Err(error) => {
                            warn!(pipeline, version = number, %error, "a model could not be taken over; trying again");
                            failed.push(pipeline);
                        }
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    warn!(pipeline, %error, "the registry does not answer; trying again");
                    failed.push(pipeline);
                }
            }
        }
        let pause = if failed.is_empty() { RECHECK } else { RETRY };
        tokio::select! {
            () = cancel.cancelled() => break,
            () = tokio::time::sleep(pause) => {
                due = if failed.is_empty() { pipelines.clone() } else { failed };
            }
            batch = announcements.next() => match batch {
                None if cancel.is_cancelled() => break,
                None => return Err(kafka::Error::Ended),
                Some(Err(error)) => {
                    warn!(%error, "announcements of the registry are not readable now");
                    due = failed;
                }
                Some(Ok(batch)) => {
                    due = (0..batch.len())
                        .filter_map(|i| serde_json::from_slice::<AliasEvent>(batch.payload(i)).ok())
                        .filter(|event| event.alias == alias && pipelines.contains(&event.pipeline))
                        .map(|event| event.pipeline)
                        .chain(failed)
                        .collect();
                    due.sort();
                    due.dedup();
                }
            }
        }
    }
    announcements.close().await;
    Ok(())
}
