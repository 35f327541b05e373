//! What a reference learns from the history of its columns: how often chance alone looks like drift.

use crate::{
    calibration::{self, Feature, Test},
    column::{Column, binned},
    detector,
    layout::{Cells, FeatureLayout, Layout},
    reference::{self, ReferenceProfile, Values},
};

/// Rows of history that are looked at: more would cost time and say little more.
pub const MOST_ROWS: usize = 20_000;
/// Pairs of pseudo-references and pseudo-windows, as a multiple of what the rate needs at least.
const REPLICATES: f64 = 4.0;
/// The fewest pairs: below, the level found varies too much.
const FEWEST_REPLICATES: f64 = 199.0;
/// The most: a level so low is not estimated but bounded.
const MOST_REPLICATES: f64 = 999.0;

/// What is wanted of a reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wanted {
    /// The share of windows without drift that may have a significant feature, and the level that is never exceeded.
    pub alpha: f64,
    /// Rows of a window; those of larger windows than [`MOST_ROWS`] are not drawn, and the level of these is taken.
    pub window_rows: usize,
    /// False alarms of the detector per 100,000 rows, over all features together.
    pub alarms_per_100k: f64,
    /// Seed of the draws.
    pub seed: u64,
}

/// Why a history cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The reference is damaged.
    #[error(transparent)]
    Reference(#[from] reference::Error),
    /// The detector.
    #[error(transparent)]
    Detector(#[from] detector::Error),
    /// The level.
    #[error(transparent)]
    Level(#[from] calibration::Error),
}

/// Calibrates `profile` on `columns`: those it was built from, or the newest [`MOST_ROWS`] of them, in stream order. Columns that it
/// does not know are passed over. The same rows and seed give the same numbers.
///
/// # Errors
/// Columns of different lengths; wishes out of range.
pub fn calibrate(profile: &mut ReferenceProfile, columns: &[(&str, Values<'_>)], wanted: &Wanted) -> Result<(), Error> {
    let layout = Layout::new(profile.clone())?;
    let known = columns.iter().filter_map(|(name, values)| {
        let index = layout.index_of(name)?;
        let feature = layout.feature(index);
        Some((index, cells(feature, *values)?))
    });
    let known: Vec<(usize, Vec<u16>)> = known.collect();
    let numbers = known.iter().filter(|(index, _)| profile.features[*index].numbers().is_some()).count();
    let settings = detector::Settings {
        target_per_100k: wanted.alarms_per_100k / numbers.max(1) as f64,
        ..detector::Settings::default()
    };
    for (index, rows) in &known {
        if profile.features[*index].numbers().is_none() {
            continue;
        }
        let history = Column { rows, bins: layout.feature(*index).cell_count() };
        profile.features[*index].detector =
            Some(detector::calibrate(&history, wanted.seed.wrapping_add(*index as u64), &settings)?);
    }
    let tested = known.iter().filter_map(|(index, rows)| {
        let feature = layout.feature(*index);
        let test = match (feature.cells(), feature.seasons()) {
            (Cells::Categories(_), _) => Test::Homogeneity,
            (Cells::Numbers { .. }, None) => Test::Ks,
            // What is compared with its own hours of the week does not vary with them.
            (Cells::Numbers { .. }, Some(_)) => return None,
        };
        Some(Feature { column: Column { rows, bins: feature.cell_count() }, test })
    });
    let tested: Vec<Feature<'_>> = tested.collect();
    if tested.is_empty() || known[0].1.is_empty() {
        return Ok(());
    }
    let replicates = (REPLICATES / wanted.alpha).clamp(FEWEST_REPLICATES, MOST_REPLICATES);
    let settings = calibration::Settings {
        alpha: wanted.alpha,
        // Rarer than so many pairs can tell is as rare as they can tell.
        false_alarm_rate: wanted.alpha.max(1.0 / MOST_REPLICATES),
        replicates: replicates as u32,
    };
    let window_rows = wanted.window_rows.min(MOST_ROWS);
    profile.calibration = Some(calibration::calibrate(&tested, window_rows, wanted.seed, &settings)?);
    Ok(())
}

/// The cell of every value, missing ones having the number after the last; `None` for values of another kind.
fn cells(feature: &FeatureLayout, values: Values<'_>) -> Option<Vec<u16>> {
    match (feature.cells(), values) {
        (Cells::Numbers { binner, .. }, Values::Numbers(values)) => Some(binned(binner, values)),
        (Cells::Categories(table), Values::Categories(values)) => {
            // At most 1,025 cells, so their numbers fit.
            let others = table.len() as u16;
            let cell = |value: &Option<&str>| match value {
                Some(category) => table.get(*category).copied().unwrap_or(others),
                None => others + 1,
            };
            Some(values.iter().map(cell).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Lcg;

    const WANTED: Wanted = Wanted { alpha: 0.05, window_rows: 200, alarms_per_100k: 1.0, seed: 3 };

    #[test]
    fn every_number_has_a_detector_and_the_window_a_level() {
        let mut random = Lcg::new(61);
        let x = random.normals(3_000, 0.0, 1.0);
        let c: Vec<Option<&str>> = x.iter().map(|x| Some(if *x > 0.3 { "a" } else { "b" })).collect();
        let columns = [("x", Values::Numbers(&x)), ("c", Values::Categories(&c))];
        let mut profile = ReferenceProfile::of(&columns).unwrap();
        let hash = profile.hash();
        calibrate(&mut profile, &columns, &WANTED).unwrap();
        assert!(profile.features[0].detector.is_some() && profile.features[1].detector.is_none());
        let level = profile.calibration.unwrap();
        assert!(level.alpha > 0.02 && level.alpha <= 0.05, "{level:?}");
        assert_eq!(profile.hash(), hash);
        let back: ReferenceProfile = serde_json::from_str(&serde_json::to_string(&profile).unwrap()).unwrap();
        assert_eq!(back, profile);
        let mut again = ReferenceProfile::of(&columns).unwrap();
        calibrate(&mut again, &columns, &WANTED).unwrap();
        assert_eq!(again, profile, "the same rows and seed give the same numbers");
    }

    #[test]
    fn a_stream_whose_rows_resemble_their_neighbours_gets_a_stricter_level() {
        let mut random = Lcg::new(62);
        let mut before = 0.0;
        let x: Vec<f64> = (0..5_000)
            .map(|_| {
                before = 0.9 * before + random.normal();
                before
            })
            .collect();
        let columns = [("x", Values::Numbers(x.as_slice()))];
        let mut profile = ReferenceProfile::of(&columns).unwrap();
        calibrate(&mut profile, &columns, &WANTED).unwrap();
        let level = profile.calibration.unwrap();
        assert!(level.alpha < 0.001 && level.uncalibrated_rate > 0.3, "{level:?}");
    }

    #[test]
    fn odd_histories_calibrate_nothing_or_something_and_do_not_fail() {
        for x in [vec![], vec![1.0], vec![f64::NAN; 50], vec![2.0; 500]] {
            let columns = [("x", Values::Numbers(x.as_slice())), ("unknown", Values::Numbers(&x))];
            let mut profile = ReferenceProfile::of(&columns[..1]).unwrap();
            calibrate(&mut profile, &columns, &WANTED).unwrap();
            assert!(profile.calibration.is_none_or(|level| level.alpha > 0.0));
        }
    }
}
