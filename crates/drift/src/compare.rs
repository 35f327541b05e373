//! One feature of a window beside its reference: every statistic that is told of it.

mod categories;
mod numbers;
mod seasonal;

use crate::{
    chi2,
    layout::{Cells, FeatureLayout},
    policy::Policy,
    profile::Profile,
    psi,
    reference::{CONFIDENCE, PREDICTION},
    report::{CellReport, Comparison, FeatureReport},
    units,
};

/// What the comparisons differ in.
struct Compared {
    comparison: Comparison,
    /// Bounds of the KS statistic, or twice the total variation distance's one value.
    distance: (f64, f64),
    noise: f64,
    p: f64,
    chi2: Option<f64>,
    df: Option<usize>,
    cells: Vec<CellReport>,
    /// Rows with a value that the reference's cells stand for.
    reference_values: u64,
}

/// Compares the feature at `index`. `q` and the importance are left to whoever knows all features.
pub(crate) fn compare(feature: &FeatureLayout, profile: &Profile, index: usize, policy: &Policy) -> FeatureReport {
    let (reference, live) = (feature.reference(), profile.feature(index));
    let compared = match (feature.cells(), feature.seasons()) {
        (Cells::Numbers { .. }, Some(groups)) => seasonal::compare(feature, live, groups, policy),
        (Cells::Numbers { .. }, None) => numbers::compare(feature, live, policy),
        (Cells::Categories(_), _) => categories::compare(feature, live, policy),
    };
    let mut before: Vec<u64> = compared.cells.iter().map(|cell| cell.reference).collect();
    let mut now: Vec<u64> = compared.cells.iter().map(|cell| cell.live).collect();
    // Missing values are a cell where there are any.
    if reference.missing > 0 || live.missing() > 0 {
        let share = reference.missing as f64 / reference.values().max(1) as f64;
        let missing = if compared.reference_values == reference.values() {
            reference.missing
        } else {
            (share * compared.reference_values as f64).round() as u64
        };
        before.push(missing);
        now.push(u64::from(live.missing()));
    }
    let rows = (before.iter().sum(), u64::from(live.rows()));
    let psi_noise = psi::noise(before.len(), policy.alpha, rows.0, rows.1).min(f64::MAX);
    let strange = u64::from(profile.below(index)) + u64::from(profile.above(index));
    // What a model answers has the unit of its label.
    let answered = [PREDICTION, CONFIDENCE].contains(&reference.name.as_str());
    FeatureReport {
        name: reference.name.clone(),
        comparison: compared.comparison,
        reference_rows: reference.rows(),
        reference_missing: reference.missing,
        live_rows: u64::from(live.rows()),
        live_missing: u64::from(live.missing()),
        below: u64::from(profile.below(index)),
        above: u64::from(profile.above(index)),
        unit: if answered { None } else { units::changed(reference, live, strange) },
        unseen: u64::from(profile.unseen(index)),
        d_low: compared.distance.0,
        d_high: compared.distance.1,
        d_noise: compared.noise,
        chi2: compared.chi2,
        df: compared.df,
        p: compared.p,
        q: 1.0,
        psi: psi::psi(&before, &now),
        psi_threshold: policy.psi_threshold.max(psi_noise),
        psi_noise,
        js: chi2::jensen_shannon(&before, &now),
        cells: compared.cells,
        importance: 0.0,
    }
}

/// The KS statistic that two samples of one distribution exceed with probability about `alpha` (first term of Kolmogorov's
/// series): √(½·ln(2/α)·(1/m + 1/n)), 1 at most.
fn ks_noise(alpha: f64, m: u64, n: u64) -> f64 {
    if m == 0 || n == 0 {
        return 1.0;
    }
    ((2.0 / alpha).ln() / 2.0 * (1.0 / m as f64 + 1.0 / n as f64)).sqrt().min(1.0)
}

/// Cells of numbers: the bins of each group together.
fn cells_of_groups(feature: &FeatureLayout, groups: &[usize], reference: &[u64], live: &[u64]) -> Vec<CellReport> {
    let edges = feature.reference().numbers().map_or(&[][..], |numbers| &numbers.edges);
    let last_bin = |group: usize| groups.iter().rposition(|of| *of == group).and_then(|bin| edges.get(bin).copied());
    let cell =
        |group| CellReport { up_to: last_bin(group), category: None, reference: reference[group], live: live[group] };
    (0..reference.len().min(live.len())).map(cell).collect()
}
