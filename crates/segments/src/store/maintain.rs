//! Retention and compaction, called from time to time.

use std::sync::PoisonError;
use std::time::Duration;

use tracing::warn;

use super::Inner;
use super::Topic;
use crate::error::Result;
use crate::log::PartitionLog;

/// A producer that has not written to a partition for this long is forgotten there.
const PRODUCER_LIFETIME: i64 = Duration::from_hours(7 * 24).as_millis() as i64;

impl Inner {
    /// Compacts, deletes what is beyond its retention and forgets old producers. `now` is in milliseconds since 1970.
    /// Blocks. Trouble with one partition is logged and holds up no other.
    pub fn maintain(&self, now: i64) {
        let _one = self.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        for topic in self.all() {
            for log in &topic.logs {
                if let Err(error) = self.maintain_log(&topic, log, now)
                    && !log.progress().deleted
                {
                    warn!(topic = topic.name, %error, "maintenance of a partition failed");
                }
            }
        }
    }

    fn maintain_log(&self, topic: &Topic, log: &PartitionLog, now: i64) -> Result<()> {
        if let Some(compaction) = topic.compaction(&self.shared.options, now) {
            log.compact(compaction, now)?;
        }
        if let Some(retention) = topic.retention() {
            log.retain(retention, now)?;
        }
        log.keep_producers(now.saturating_sub(PRODUCER_LIFETIME))
    }
}
