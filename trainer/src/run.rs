//! What names a run.

use driftmill_schemas::message::{self, Again, FirstCause, TrainingRequest};
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
    /// A run that ended without a model is tried again.
    Again {
        /// Why it was tried first.
        first: Box<Reason>,
        /// Number of this attempt, from 2.
        attempt: u32,
    },
}

impl Reason {
    /// The reason in one phrase; two runs of one pipeline with the same phrase are the same run.
    pub fn cause(&self) -> String {
        match self {
            Self::First => "first training".to_owned(),
            Self::Request(request) => request.cause(),
            Self::Drift { window, champion, .. } => format!("drift {window} away from version {champion}"),
            Self::Again { first, attempt } => format!("{} (attempt {attempt})", first.cause()),
        }
    }

    /// The run's id: a hash of pipeline and cause.
    pub fn run_id(&self, pipeline: &str) -> Uuid {
        message::run_id(pipeline, &self.cause())
    }

    /// The reason that a request stands for.
    pub fn of_request(mut request: TrainingRequest) -> Self {
        let Some(Again { attempt, cause }) = request.again.take() else { return Self::Request(request) };
        let first = match cause {
            FirstCause::Request => Self::Request(request),
            FirstCause::First => Self::First,
            FirstCause::Drift { window, champion, since } => Self::Drift { window, champion, since },
        };
        Self::Again { first: Box::new(first), attempt }
    }

    /// The request to try it once more.
    pub fn once_more(&self, pipeline: &str, at: i64) -> TrainingRequest {
        let attempt = self.attempt() + 1;
        let id = message::id_of(&["attempt", pipeline, &self.first().cause(), &attempt.to_string()]);
        let anew = |cause| TrainingRequest {
            again: Some(Again { attempt, cause }),
            ..TrainingRequest::new(id, pipeline, "trainer", at)
        };
        match self.first() {
            Self::Request(request) => {
                TrainingRequest { again: Some(Again { attempt, cause: FirstCause::Request }), ..request.clone() }
            }
            Self::Drift { window, champion, since } => {
                anew(FirstCause::Drift { window: window.clone(), champion: *champion, since: since.clone() })
            }
            Self::First | Self::Again { .. } => anew(FirstCause::First),
        }
    }

    /// The ids of this run and of the attempts before it, the newest first.
    pub fn attempts(&self, pipeline: &str) -> Vec<Uuid> {
        let again = |attempt| Self::Again { first: Box::new(self.first().clone()), attempt };
        let later = (2..=self.attempt()).rev().map(|attempt| again(attempt).run_id(pipeline));
        later.chain([self.first().run_id(pipeline)]).collect()
    }

    /// Number of the attempt, from 1.
    pub fn attempt(&self) -> u32 {
        match self {
            Self::Again { attempt, .. } => *attempt,
            _ => 1,
        }
    }

    /// Why it was tried first.
    fn first(&self) -> &Self {
        match self {
            Self::Again { first, .. } => first.first(),
            first => first,
        }
    }

    /// The request, when one is the reason.
    pub fn request(&self) -> Option<&TrainingRequest> {
        match self.first() {
            Self::Request(request) => Some(request),
            _ => None,
        }
    }

    /// The rows to learn from.
    pub fn since(&self) -> Since {
        match self.first() {
            // A loss that rose is known in answers, not in records: the newest are learned from.
            Self::Drift { since, .. } if !since.is_empty() => Since::Offsets(since.clone()),
            _ => Since::Newest,
        }
    }

    /// The request's id, when a request is the reason.
    pub fn request_id(&self) -> Option<Uuid> {
        self.request().map(|request| request.id)
    }

    /// Whether the model is promoted whatever the gates say.
    pub fn forced(&self) -> bool {
        self.request().is_some_and(|request| request.force)
    }

    /// Whether a model that passed its gates takes over at once.
    pub fn direct(&self) -> bool {
        self.request().is_some_and(|request| request.direct)
    }

    /// Whether hyper-parameters are to be searched for, whatever the pipeline file says of when.
    pub fn searches(&self) -> bool {
        self.request().is_some_and(|request| request.search)
    }

    /// Hyper-parameters that replace those of the pipeline file.
    pub fn params(&self) -> serde_json::Map<String, serde_json::Value> {
        self.request().map(|request| request.params.clone()).unwrap_or_default()
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

    #[test]
    fn what_is_tried_again_is_a_run_of_its_own_and_learns_as_the_first_one_did() {
        let request: TrainingRequest = serde_json::from_str(
            r#"{"id":"00000000-0000-0000-0000-000000000007","pipeline":"iris","requested_by":"api","at":5,
                "params":{"max_depth":3},"force":true,"search":true,"reason":"new labels"}"#,
        )
        .unwrap();
        let drift = Reason::Drift { window: "w".to_owned(), champion: 1, since: vec![(0, 7)] };
        for first in [Reason::Request(request), drift, Reason::First] {
            let wish = serde_json::to_string(&first.once_more("iris", 9)).unwrap();
            let second = Reason::of_request(serde_json::from_str(&wish).unwrap());
            assert_eq!(second, Reason::Again { first: Box::new(first.clone()), attempt: 2 });
            assert_eq!(
                (second.since(), second.params(), second.forced()),
                (first.since(), first.params(), first.forced())
            );
            assert_eq!((second.request_id(), second.searches()), (first.request_id(), first.searches()));
            assert_ne!(second.run_id("iris"), first.run_id("iris"));
            let third = Reason::of_request(second.once_more("iris", 9));
            assert_eq!((third.attempt(), third.first()), (3, &first));
            assert_eq!(third.attempts("iris"), [&third, &second, &first].map(|reason| reason.run_id("iris")));
            assert_eq!(first.attempts("iris"), [first.run_id("iris")]);
            assert_eq!(third.cause(), format!("{} (attempt 3)", first.cause()));
        }
    }
}
