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
    let mut groups = psi::regroup(&reference.counts, policy.psi_cells);
    apart(&mut groups, feature, live, policy.psi_cells);
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

/// Gives what lies below or above all of the reference a cell of its own where it is more than the share of one: else a constant
/// that became another would stay in its only cell.
fn apart(groups: &mut [usize], feature: &FeatureLayout, live: &FeatureProfile, cells: usize) {
    let counts = live.counts();
    let many = |bin: usize| u64::from(counts[bin]) * cells as u64 > u64::from(live.values());
    if groups.len() > 1 && feature.end_is_out_of_range(true) && many(0) {
        groups.iter_mut().skip(1).for_each(|group| *group += 1);
    }
    let last = groups.len().saturating_sub(1);
    if last > 0 && feature.end_is_out_of_range(false) && many(last) && groups[last] == groups[last - 1] {
        groups[last] += 1;
    }
}

#[cfg(test)]
mod tests {
    use crate::{Layout, Profile, evaluate::feature_reports, policy::Policy};

    #[test]
    fn a_constant_that_became_another_has_a_psi() {
        for other in [7.5, 6.5] {
            let layout = Layout::of(&[("x", &[7.0; 300])]);
            let mut profile = Profile::new(&layout);
            profile.observe("x", &[other; 300]).unwrap();
            let report = feature_reports(&profile, &Policy::default()).remove(0);
            assert!(report.psi > 5.0 && report.d_low == 1.0, "{report:?}");
            let (before, now): (Vec<u64>, Vec<u64>) =
                report.cells.iter().map(|cell| (cell.reference, cell.live)).unzip();
            assert_eq!((before.iter().sum::<u64>(), now.iter().sum::<u64>()), (300, 300));
        }
        let layout = Layout::of(&[("x", &[7.0; 300])]);
        let mut profile = Profile::new(&layout);
        profile.observe("x", &[7.0; 300]).unwrap();
        assert_eq!(feature_reports(&profile, &Policy::default())[0].psi, 0.0);
    }
}
