//! Numbers: the Kolmogorov–Smirnov statistic over all bins, the other statistics over groups of them.

use super::{Compared, cells_of_groups, ks_noise};
use crate::{
    ks::{self, Bounds},
    layout::FeatureLayout,
    policy::Policy,
    profile::FeatureProfile,
    psi,
    report::Comparison,
};

pub(super) fn compare(feature: &FeatureLayout, live: &FeatureProfile, policy: &Policy) -> Compared {
    let reference = feature.reference();
    let (m, n) = (reference.values(), u64::from(live.values()));
    let bounds = feature.ks(live);
    let Bounds { low, high } = bounds.unwrap_or(Bounds { low: 0.0, high: 1.0 });
    let p = if bounds.is_some() { ks::p_value(low, m, n) } else { 1.0 };
    let groups = psi::regroup(&reference.counts, policy.psi_cells);
    let before = psi::grouped(&reference.counts, &groups);
    let now = psi::grouped(live.counts(), &groups);
    Compared {
        comparison: Comparison::Numbers,
        distance: (low, high),
        noise: ks_noise(policy.alpha, m, n),
        p,
        chi2: None,
        df: None,
        cells: cells_of_groups(feature, &groups, &before, &now),
        reference_values: m,
    }
}
