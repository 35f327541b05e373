//! The trainer: from a reason to a model.
//!
//! ```text
//! reasons:  a request (topic) │ a drift report (topic) │ a pipeline that never had a model
//!      └─► snapshot (ClickHouse → Parquet, named by its hash) ─► split (─► search) ─► fit ─► metrics ─► gates ─► registry ─► alias
//! ```
//! A run is named by its reason, so a reason that comes twice is the same run, and a trainer that died in the middle
//! repeats it under the same name. Nothing of a run is visible before its model is whole.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod card;
mod champion;
mod cross_validation;
mod error;
mod evaluate;
mod firing;
mod fit;
mod folds;
mod forecasts;
mod gates;
mod gold;
mod halt;
mod importance;
mod interrupted;
mod life;
mod mirror;
pub mod performance;
#[cfg(test)]
mod poison;
mod reasons;
mod reference;
mod rollout;
mod rows;
mod run;
mod search;
mod searching;
mod snapshot;
mod trainer;

pub use card::model_card;
pub use cross_validation::{Answers, Asked, CrossValidation, cross_validate};
pub use driftmill_models::Progress;
pub use error::Error;
pub use evaluate::evaluate;
pub use firing::fire;
pub use fit::{Fault, Fitted, fit, learner};
pub use forecasts::{ForecastEvaluation, evaluate_forecasts};
pub use gates::judge;
pub use gold::{Held, Judge, clear_gold, set_gold_of_rows, set_gold_of_version};
pub use importance::{FeatureImportance, importances};
pub use mirror::{MirrorAliases, MirrorRuns};
pub use reasons::{Reports, Requests};
pub use rollout::{Rollouts, begin as begin_rollout, end as end_rollout};
pub use rows::Rows;
pub use run::Reason;
pub use search::check as check_training;
pub use snapshot::{Since, Snapshot, rows};
pub use trainer::Trainer;
