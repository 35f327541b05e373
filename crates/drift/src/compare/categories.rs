//! Categories: χ² over all of them, the other statistics over the most frequent ones.

use super::Compared;
use crate::{
    chi2,
    layout::FeatureLayout,
    policy::Policy,
    profile::FeatureProfile,
    report::{CellReport, Comparison},
};

/// Categories that have a cell of their own in the report and the PSI; the rest of the table shares one, and what is not in
/// the table has the last.
const SHOWN: usize = 18;

pub(super) fn compare(feature: &FeatureLayout, live: &FeatureProfile, policy: &Policy) -> Compared {
    let reference = feature.reference();
    let now: Vec<u64> = live.counts().iter().map(|count| u64::from(*count)).collect();
    let (m, n) = (reference.values(), u64::from(live.values()));
    let test = chi2::homogeneity(&reference.counts, &now);
    let distance = match m == 0 || n == 0 {
        true => (0.0, 1.0),
        false => {
            let distance = total_variation(&reference.counts, &now);
            (distance, distance)
        }
    };
    let used = reference.counts.iter().zip(&now).filter(|(a, b)| **a + **b > 0).count();
    Compared {
        comparison: Comparison::Categories,
        distance,
        noise: noise(used, policy.alpha, m, n),
        p: test.p,
        chi2: Some(test.statistic),
        df: Some(test.df),
        cells: cells(feature, &now),
        reference_values: m,
    }
}

/// Half the sum of the differences of all shares: the largest difference in the share of any set of categories.
fn total_variation(a: &[u64], b: &[u64]) -> f64 {
    let (m, n) = (a.iter().sum::<u64>() as f64, b.iter().sum::<u64>() as f64);
    a.iter().zip(b).map(|(&x, &y)| (x as f64 / m - y as f64 / n).abs()).sum::<f64>() / 2.0
}

/// What chance alone brings the total variation distance to with probability `alpha` at most. By Cauchy–Schwarz it is at most
/// ½·√(χ²·(1/m + 1/n)), with χ² the statistic of homogeneity.
fn noise(cells: usize, alpha: f64, m: u64, n: u64) -> f64 {
    if m == 0 || n == 0 {
        return 1.0;
    }
    let chi2 = chi2::quantile(cells.saturating_sub(1), 1.0 - alpha);
    (chi2 * (1.0 / m as f64 + 1.0 / n as f64)).sqrt().min(2.0) / 2.0
}

fn cells(feature: &FeatureLayout, now: &[u64]) -> Vec<CellReport> {
    let reference = feature.reference();
    let table = reference.counts.len() - 1;
    let shown = table.min(SHOWN);
    let mut cells: Vec<CellReport> = (0..shown)
        .map(|cell| CellReport {
            up_to: None,
            category: reference.categories().get(cell).cloned(),
            reference: reference.counts[cell],
            live: now[cell],
        })
        .collect();
    // What is left of the table and what it does not hold, in one cell: a model knows little of either.
    let others = CellReport {
        up_to: None,
        category: None,
        reference: reference.counts[shown..].iter().sum(),
        live: now[shown..].iter().sum(),
    };
    if others.reference + others.live > 0 {
        cells.push(others);
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, Profile, ReferenceProfile, Values, evaluate::feature_reports};
    use std::sync::Arc;

    fn repeated<'a>(counts: &[(&'a str, usize)]) -> Vec<Option<&'a str>> {
        counts.iter().flat_map(|(name, count)| std::iter::repeat_n(Some(*name), *count)).collect()
    }

    fn compared(reference: &[Option<&str>], live: &[Option<&str>]) -> crate::FeatureReport {
        let reference = ReferenceProfile::of(&[("c", Values::Categories(reference))]).unwrap();
        let layout: Arc<Layout> = Layout::new(reference).unwrap();
        let mut profile = Profile::new(&layout);
        profile.observe_values("c", Values::Categories(live), &[]).unwrap();
        feature_reports(&profile, &Policy::default()).remove(0)
    }

    #[test]
    fn both_sides_are_samples_as_in_vector_v7() {
        let report = compared(
            &repeated(&[("a", 500), ("b", 300), ("c", 150), ("d", 50)]),
            &repeated(&[("d", 80), ("b", 310), ("a", 430), ("c", 180)]),
        );
        assert!((report.chi2.unwrap() - 15.083101280880232).abs() < 1e-12);
        assert_eq!(report.df, Some(3));
        assert!((report.p - 0.00174699276048834).abs() < 1e-15, "{}", report.p);
        // Every cell gets half a row; without, it is .030455.
        assert!((report.psi - 0.030455256090841473).abs() < 3e-4, "{}", report.psi);
        assert!((report.js - 0.07393164297698235).abs() < 1e-12);
        assert!((report.d_low - 0.07).abs() < 1e-12 && report.d_low == report.d_high);
        assert_eq!((report.unseen, report.cells.len()), (0, 4));
    }

    #[test]
    fn a_category_that_was_never_there_is_a_cell() {
        let reference = repeated(&[("a", 500), ("b", 500)]);
        let report = compared(&reference, &repeated(&[("a", 50), ("b", 50), ("new", 30), ("newer", 20)]));
        assert_eq!((report.unseen, report.below, report.above), (50, 0, 0));
        assert!(report.p < 1e-9 && report.psi > 1.0, "{report:?}");
        assert!((report.d_low - 50.0 / 150.0).abs() < 1e-12);
        assert_eq!((report.cells[2].category.as_deref(), report.cells[2].live), (None, 50));
    }

    #[test]
    fn nothing_missing_and_one_row_have_no_exception_and_no_alarm() {
        let reference = repeated(&[("a", 5), ("b", 5)]);
        for live in [vec![], vec![None; 9], vec![Some("a")]] {
            let report = compared(&reference, &live);
            assert!(report.p > 0.05 && report.psi.is_finite() && report.js.is_finite(), "{report:?}");
        }
        let report = compared(&[], &reference);
        assert_eq!((report.p, report.unseen), (1.0, 10));
    }

    #[test]
    fn what_chance_moves_stays_below_the_noise() {
        let mut random = crate::testing::Lcg::new(31);
        let names: Vec<String> = (0..40).map(|i| i.to_string()).collect();
        let mut draw = |rows: usize| -> Vec<Option<&str>> {
            (0..rows).map(|_| Some(names[(random.next().unwrap().powi(2) * 40.0) as usize].as_str())).collect()
        };
        let (mut above, mut significant) = (0, 0);
        for _ in 0..300 {
            let report = compared(&draw(2_000), &draw(300));
            above += usize::from(report.d_low > report.d_noise);
            significant += usize::from(report.p < 0.05);
        }
        assert!(above <= 15 && significant <= 27, "{above} {significant}");
    }
}
