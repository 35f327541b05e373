//! The population stability index over a few equal-mass cells, with a threshold that knows how much of it is noise.

use crate::chi2;

/// PSI = Σ (pᵢ − qᵢ)·ln(pᵢ/qᵢ) of two counts over the same cells, ½ being added to every cell first: an empty cell is
/// neither infinite nor decided by an arbitrary constant. 0 for fewer than two cells or an empty side.
pub fn psi(reference: &[u64], live: &[u64]) -> f64 {
    psi_with(reference, live, 0.5)
}

/// [`psi`] with another pseudo-count; with 0, cells that are empty on either side make it infinite or NaN.
pub fn psi_with(reference: &[u64], live: &[u64], pseudo_count: f64) -> f64 {
    let cells = reference.len().min(live.len()) as f64;
    let m = reference.iter().sum::<u64>() as f64 + pseudo_count * cells;
    let n = live.iter().sum::<u64>() as f64 + pseudo_count * cells;
    if reference.iter().all(|&count| count == 0) || live.iter().all(|&count| count == 0) {
        return 0.0;
    }
    let term = |(&a, &b): (&u64, &u64)| {
        let (p, q) = ((a as f64 + pseudo_count) / m, (b as f64 + pseudo_count) / n);
        (p - q) * (p / q).ln()
    };
    reference.iter().zip(live).map(term).sum()
}

/// What PSI stays below with probability 1 − `alpha` when nothing drifted: without drift it is distributed like
/// χ²_{cells−1}·(1/m + 1/n) for `m` reference and `n` live rows. Infinite when either side is empty.
pub fn noise(cells: usize, alpha: f64, m: u64, n: u64) -> f64 {
    if m == 0 || n == 0 {
        return f64::INFINITY;
    }
    chi2::quantile(cells.saturating_sub(1), 1.0 - alpha) * (1.0 / m as f64 + 1.0 / n as f64)
}

/// Joins neighbouring bins of the reference into about `cells` (2–20) groups of equal mass; returns the group of each bin.
///
/// A bin that alone holds a group's share gets a group of its own where what lies before it is worth half a group, so there
/// may be a few groups more; fewer where the mass sits on few values.
pub fn regroup(reference: &[u64], cells: usize) -> Vec<usize> {
    let cells = cells.clamp(2, 20) as u128;
    let rows: u128 = reference.iter().map(|&count| u128::from(count)).sum();
    let mut groups = Vec::with_capacity(reference.len());
    let (mut group, mut held, mut closed) = (0usize, 0u128, 0u128);
    for &count in reference {
        let count = u128::from(count);
        let left = cells.saturating_sub(group as u128).max(1);
        // The share of a group is what is left divided by the groups left: on exact quantiles, the quantiles.
        let share = rows - closed;
        let full = held > 0 && held * left >= share;
        let before_heavy = count * cells >= rows && held * 2 * cells >= rows;
        if closed + held < rows && (full || before_heavy) {
            closed += held;
            held = 0;
            group += 1;
        }
        held += count;
        groups.push(group);
    }
    groups
}

/// Sums `counts` by the groups of [`regroup`], one cell more than the last group's index.
pub fn grouped<T: Copy + Into<u64>>(counts: &[T], groups: &[usize]) -> Vec<u64> {
    let mut sums = vec![0u64; groups.last().map_or(0, |last| last + 1)];
    for (&count, &group) in counts.iter().zip(groups) {
        sums[group] += count.into();
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        layout::Layout,
        testing::{Lcg, fixture, pair},
    };

    #[test]
    fn vector_v6_from_the_samples_through_the_fine_bins() {
        let vector = &fixture("samples")["v6"];
        let counts = |name: &str| -> Vec<u64> { serde_json::from_value(vector[name].clone()).unwrap() };
        let (deciles, live_deciles) = (counts("reference_deciles"), counts("live_deciles"));
        assert!((psi_with(&deciles, &live_deciles, 0.0) - 0.24870236506396903).abs() < 1e-14);
        let (reference, live) = pair(vector);
        let layout = Layout::of(&[("x", &reference)]);
        let feature = layout.feature(0);
        let groups = regroup(&feature.reference().counts, 10);
        assert_eq!(grouped(&feature.reference().counts, &groups), deciles);
        let live = grouped(feature.count(&live).counts(), &groups);
        // NumPy's deciles lie between two reference values, ours on the lower one.
        assert!(live.iter().zip(&live_deciles).all(|(a, b)| a.abs_diff(*b) <= 5), "{live:?} {live_deciles:?}");
        // Half a row in every cell moves it by the width of the noise only.
        assert!((psi(&deciles, &live) - 0.24870236506396903).abs() < 1e-3);
    }

    #[test]
    fn vectors_v7_and_v9() {
        assert!((psi_with(&[500, 300, 150, 50], &[430, 310, 180, 80], 0.0) - 0.030455256090841473).abs() < 1e-15);
        let cells = |values: &mut dyn Iterator<Item = f64>| {
            let mut counts = [0u64; 10];
            values.for_each(|x| counts[((x * 10.0) as usize).min(9)] += 1);
            counts
        };
        let reference = cells(&mut Lcg::new(1).take(10_000));
        let same = cells(&mut Lcg::new(2).take(5_000));
        let shifted = cells(&mut Lcg::new(2).take(5_000).map(|x| x.powf(1.1)));
        assert!((psi_with(&reference, &same, 0.0) - 0.0012146629700514702).abs() < 1e-14);
        assert!((psi_with(&reference, &shifted, 0.0) - 0.011120396193058022).abs() < 1e-14);
    }

    #[test]
    fn every_cell_gets_half_a_row() {
        // (10.5, .5) against (5.5, 5.5) of 11: 5/11·(ln(10.5/5.5) − ln(.5/5.5))
        assert!((psi(&[10, 0], &[5, 5]) - 5.0 / 11.0 * 21.0f64.ln()).abs() < 1e-15);
        assert_eq!(psi(&[0, 0], &[5, 5]), 0.0);
    }

    #[test]
    fn groups_are_equal_unless_values_are_heavy() {
        let sums = |counts: &[u64], cells| grouped(counts, &regroup(counts, cells));
        assert_eq!(sums(&[0; 5], 10), [0]);
        assert_eq!(sums(&[], 10), [0u64; 0]);
        assert_eq!(sums(&[10; 100], 10), [100; 10]);
        assert_eq!(sums(&[10; 100], 20), [50; 20]);
        assert_eq!(sums(&[0, 70, 0, 30, 0], 10), [70, 30]);
        assert_eq!(sums(&[0, 100, 0], 10), [100]);
        let with_atom: Vec<u64> = (0..60).map(|i| if i == 27 { 410 } else { 10 }).collect();
        let got = sums(&with_atom, 10);
        assert!(got.contains(&410) && got.len() >= 6 && got.len() <= 20, "{got:?}");
        assert_eq!(got.iter().sum::<u64>(), 1_000);
    }

    #[test]
    fn the_noise_is_exceeded_at_the_rate_alpha() {
        let mut random = Lcg::new(11);
        for (m, n) in [(5_000, 50), (5_000, 200), (200, 200), (2_000, 1_000)] {
            let runs = 400;
            let mut above = 0;
            for _ in 0..runs {
                let mut draw = |rows: u64| {
                    let mut counts = [0u64; 10];
                    (0..rows).for_each(|_| counts[(random.next().unwrap() * 10.0) as usize] += 1);
                    counts
                };
                above += usize::from(psi(&draw(m), &draw(n)) > noise(10, 0.05, m, n));
            }
            let rate = above as f64 / runs as f64;
            assert!((0.015..0.09).contains(&rate), "m {m} n {n}: {rate}");
        }
        assert_eq!(noise(10, 0.05, 0, 5), f64::INFINITY);
    }
}
