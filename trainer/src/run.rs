//! What names a run.

use driftmill_schemas::message::TrainingRequest;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::snapshot::Since;

/// Why a training happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// The pipeline never had a model.
    First,
    /// Somebody asked.
    Request(TrainingRequest),
    /// The stream drifted away from the champion.
    Drift {
        /// The window's id.
        window: String,
        /// The version that no longer fits.
        champion: u64,
        /// Where the drift began, by partition.
        since: Vec<(i32, i64)>,
    },
}

impl Reason {
    /// The reason in one phrase; two runs of one pipeline with the same phrase are the same run.
    pub fn cause(&self) -> String {
        match self {
            Self::First => "first training".to_owned(),
            Self::Request(request) => format!("request {} by {}", request.id, request.requested_by),
            Self::Drift { window, champion, .. } => format!("drift {window} away from version {champion}"),
        }
    }

    /// The run's id: a hash of pipeline and cause.
    pub fn run_id(&self, pipeline: &str) -> Uuid {
        let hash = Sha256::digest(format!("{pipeline}\n{}", self.cause()));
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }

    /// The rows to learn from.
    pub fn since(&self) -> Since {
        match self {
            // A loss that rose is known in answers, not in records: the newest are learned from.
            Self::Drift { since, .. } if !since.is_empty() => Since::Offsets(since.clone()),
            _ => Since::Newest,
        }
    }

    /// The request's id, when a request is the reason.
    pub fn request_id(&self) -> Option<Uuid> {
        match self {
            Self::Request(request) => Some(request.id),
            _ => None,
        }
    }

    /// Whether the model is promoted whatever the gates say.
    pub fn forced(&self) -> bool {
        matches!(self, Self::Request(request) if request.force)
    }

    /// Whether a model that passed its gates takes over at once.
    pub fn direct(&self) -> bool {
        matches!(self, Self::Request(request) if request.direct)
    }

    /// Whether hyper-parameters are to be searched for, whatever the pipeline file says of when.
    pub fn searches(&self) -> bool {
        matches!(self, Self::Request(request) if request.search)
    }

    /// Hyper-parameters that replace those of the pipeline file.
    pub fn params(&self) -> serde_json::Map<String, serde_json::Value> {
        match self {
            Self::Request(request) => request.params.clone(),
            _ => serde_json::Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_reason_is_the_same_run_and_another_pipeline_is_another() {
        let drift = |window: &str| Reason::Drift { window: window.to_owned(), champion: 1, since: Vec::new() };
        assert_eq!(drift("w").run_id("iris"), drift("w").run_id("iris"));
        assert_ne!(drift("w").run_id("iris"), drift("v").run_id("iris"));
        assert_ne!(Reason::First.run_id("iris"), Reason::First.run_id("loan"));
    }
}
