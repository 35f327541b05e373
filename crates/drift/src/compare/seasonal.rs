//! Numbers with a weekly rhythm: a window is compared with the hours of the week that it holds, in the window's own mixture.
//!
//! With n_h of the window's n values at hour h and m_h values of the reference there, of which q_hc fall into cell c, the
//! window is expected to have the share Σ_h (n_h/n)·(q_hc/m_h) in cell c. That mixture varies as much as m′ rows would, with
//! 1/m′ = Σ_h (n_h/n)²/m_h. Hours that the reference does not have are compared with all of it.

use super::{Compared, cells_of_groups, ks_noise};
use crate::{ks, layout::FeatureLayout, policy::Policy, profile::FeatureProfile, psi, report::Comparison};

pub(super) fn compare(feature: &FeatureLayout, live: &FeatureProfile, groups: &[usize], policy: &Policy) -> Compared {
    let reference = feature.reference();
    let whole = psi::grouped(&reference.counts, groups);
    let expected = Expected::of(feature, live, &whole);
    let now: Vec<u64> =
        (0..whole.len()).map(|cell| live.hours().values().map(|counts| u64::from(counts[cell])).sum()).collect();
    let n: u64 = now.iter().sum();
    let m = expected.rows;
    if m == 0 || n == 0 {
        return Compared {
            comparison: Comparison::Seasonal,
            distance: (0.0, 1.0),
            noise: 1.0,
            p: 1.0,
            chi2: None,
            df: None,
            cells: cells_of_groups(feature, groups, &vec![0; whole.len()], &now),
            reference_values: 0,
        };
    }
    let (mut f, mut g, mut d) = (0.0, 0.0, 0.0f64);
    // Within a cell nobody knows: the statistic may be larger by the larger share of a cell.
    let mut inside = 0.0f64;
    for (share, live) in expected.shares.iter().zip(&now) {
        let live = *live as f64 / n as f64;
        (f, g) = (f + share, g + live);
        d = d.max((f - g).abs());
        inside = inside.max(share.max(live));
    }
    let rows: Vec<u64> = expected.shares.iter().map(|share| (share * m as f64).round() as u64).collect();
    Compared {
        comparison: Comparison::Seasonal,
        distance: (d, (d + inside).min(1.0)),
        noise: (ks_noise(policy.alpha, m, n) + inside).min(1.0),
        p: ks::p_value(d, m, n),
        chi2: None,
        df: None,
        cells: cells_of_groups(feature, groups, &rows, &now),
        reference_values: m,
    }
}

/// What the window would look like if nothing had moved.
struct Expected {
    shares: Vec<f64>,
    /// m′ of the module's formula.
    rows: u64,
}

impl Expected {
    fn of(feature: &FeatureLayout, live: &FeatureProfile, whole: &[u64]) -> Self {
        let mut shares = vec![0.0; whole.len()];
        let (mut variance, hours) = (0.0, feature.reference().seasonal.as_ref().map(|seasonal| &seasonal.hours));
        let n: f64 = live.hours().values().flatten().map(|count| f64::from(*count)).sum();
        let sum = |counts: &[u64]| counts.iter().sum::<u64>() as f64;
        for (hour, counts) in live.hours() {
            let weight = counts.iter().map(|count| f64::from(*count)).sum::<f64>() / n;
            let usual = hours.and_then(|hours| hours.get(hour)).map_or(whole, Vec::as_slice);
            let m = sum(usual);
            if weight > 0.0 && m > 0.0 {
                shares.iter_mut().zip(usual).for_each(|(share, count)| *share += weight * *count as f64 / m);
                variance += weight * weight / m;
            }
        }
        let rows = if variance > 0.0 { (1.0 / variance).round() as u64 } else { 0 };
        Self { shares, rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FeatureReport, Layout, Profile, ReferenceProfile, Values, evaluate::feature_reports, testing::Lcg};
    use std::sync::Arc;

    const MINUTE: i64 = 60_000;
    const WEEK_MINUTES: i64 = 7 * 24 * 60;

    /// A value a minute with a daily rhythm of one standard deviation, from `from`.
    fn stream(random: &mut Lcg, from: i64, minutes: i64, shift: f64) -> (Vec<f64>, Vec<i64>) {
        (from..from + minutes)
            .map(|minute| {
                let angle = minute as f64 / 1_440.0 * std::f64::consts::TAU;
                (angle.sin() + shift + random.normal(), minute * MINUTE)
            })
            .unzip()
    }

    fn layout(seasonal: bool, random: &mut Lcg) -> Arc<Layout> {
        let (values, times) = stream(random, 0, 2 * WEEK_MINUTES, 0.0);
        let reference = ReferenceProfile::build(&[("x", &values)]).unwrap();
        let reference = if seasonal { reference.with_hours("x", &values, &times) } else { reference };
        Layout::new(serde_json::from_str(&serde_json::to_string(&reference).unwrap()).unwrap()).unwrap()
    }

    fn report(layout: &Arc<Layout>, (values, times): &(Vec<f64>, Vec<i64>)) -> FeatureReport {
        let mut profile = Profile::new(layout);
        profile.observe_values("x", Values::Numbers(values), times).unwrap();
        let back = Profile::from_json(layout, &profile.to_json()).unwrap();
        assert_eq!(back, profile);
        feature_reports(&profile, &Policy::default()).remove(0)
    }

    #[test]
    fn a_night_is_compared_with_nights() {
        let mut random = Lcg::new(51);
        let (plain, seasonal) = (layout(false, &mut random), layout(true, &mut random));
        let (mut cried, mut significant) = (0, 0);
        for window in 0..120 {
            // Windows of three hours, at all times of the day.
            let rows = stream(&mut random, 2 * WEEK_MINUTES + window * 180, 180, 0.0);
            cried += usize::from(report(&plain, &rows).p < 0.01);
            let report = report(&seasonal, &rows);
            assert_eq!(report.comparison, Comparison::Seasonal);
            significant += usize::from(report.p < 0.05);
        }
        assert!(cried > 60, "without a rhythm, {cried} of 120 windows are taken for drift");
        assert!(significant <= 12, "{significant} of 120 windows at 5 %");
    }

    #[test]
    fn a_shift_at_night_is_seen_though_days_look_like_it() {
        let mut random = Lcg::new(52);
        let layout = layout(true, &mut random);
        let shifted = report(&layout, &stream(&mut random, 3 * WEEK_MINUTES + 18 * 60, 240, 1.0));
        assert!(shifted.p < 1e-6 && shifted.d_low > 0.25 && shifted.psi > shifted.psi_threshold, "{shifted:?}");
        assert!(shifted.d_high >= shifted.d_low && shifted.cells.iter().map(|cell| cell.live).sum::<u64>() == 240);
    }

    #[test]
    fn hours_that_the_reference_lacks_and_empty_windows_are_no_alarm() {
        let mut random = Lcg::new(53);
        let (values, times) = stream(&mut random, 0, 1_440, 0.0);
        let reference = ReferenceProfile::build(&[("x", &values)]).unwrap().with_hours("x", &values, &times);
        let layout = Layout::new(reference).unwrap();
        // Two days later: other hours of the week, the whole day.
        let other = report(&layout, &stream(&mut random, 2 * 1_440, 1_440, 0.0));
        assert!(other.p > 0.01, "{other:?}");
        let empty = report(&layout, &(vec![], vec![]));
        assert_eq!((empty.p, empty.d_low, empty.d_high), (1.0, 0.0, 1.0));
    }
}
