//! The pipeline file's policy in the drift library's terms.

use driftmill_drift::retrain::RetrainPolicy;
use driftmill_drift::{Policy, Span};
use driftmill_schemas::pipeline::DriftPolicy;

/// The thresholds.
pub fn policy(declared: &DriftPolicy) -> Policy {
    Policy {
        alpha: declared.alpha,
        ks_effect: declared.ks_effect,
        psi_threshold: declared.psi_threshold,
        min_rows: (declared.window_rows / 2).max(1),
        missing_surge: declared.missing_surge,
        rejects_surge: declared.rejects_surge,
        units: declared.units,
        confirm_windows: declared.windows as usize,
        of_windows: declared.of_windows as usize,
        overlap: overlap(declared),
        ..Policy::default()
    }
}

/// The windows.
pub fn span(declared: &DriftPolicy) -> Span {
    match declared.window_seconds {
        None => Span::Rows { rows: declared.window_rows, step: declared.step.unwrap_or(declared.window_rows) },
        Some(seconds) => Span::Time {
            length: millis(seconds),
            step: millis(declared.step.unwrap_or(seconds)),
            lateness: millis(declared.lateness),
        },
    }
}

/// How many windows each row is in.
fn overlap(declared: &DriftPolicy) -> usize {
    let length = declared.window_seconds.unwrap_or(declared.window_rows).max(1);
    let step = declared.step.unwrap_or(length).max(1);
    usize::try_from(length.div_ceil(step)).unwrap_or(1).clamp(1, 1_000)
}

/// The limits on retraining.
pub fn retraining(declared: &DriftPolicy) -> RetrainPolicy {
    RetrainPolicy {
        cool_down_ms: millis(declared.cool_down),
        daily_budget: declared.daily_budget,
        min_rows: declared.retrain_rows,
    }
}

fn millis(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000)
}
