//! The calibrated level of the windowed test.

use anyhow::bail;
use driftmill_drift::{
    Layout,
    calibration::{Feature, Settings, Test, calibrate},
    column::{Column, binned},
    layout::Cells,
};

/// The level that `driftmill_drift::history::calibrate` finds, which calibrates every column's detector as well and takes
/// longer by that.
pub fn calibrated(layout: &Layout, history: &[&[f64]], window_rows: usize, alpha: f64) -> anyhow::Result<f64> {
    let mut rows = Vec::new();
    for (feature, values) in layout.features().iter().zip(history) {
        let Cells::Numbers { binner, .. } = feature.cells() else { bail!("a column without numbers") };
        rows.push((binned(binner, values), feature.cell_count()));
    }
    let features: Vec<Feature<'_>> =
        rows.iter().map(|(rows, bins)| Feature { column: Column { rows, bins: *bins }, test: Test::Ks }).collect();
    let settings = Settings { alpha, false_alarm_rate: alpha, replicates: 199 };
    Ok(calibrate(&features, window_rows, 1, &settings)?.alpha)
}

#[cfg(test)]
mod tests {
    use super::*;
    use driftmill_drift::{
        ReferenceProfile,
        history::{self, Wanted},
    };

    #[test]
    fn the_level_is_the_one_that_a_reference_is_stored_with() -> anyhow::Result<()> {
        let values: Vec<f64> = (0..1_000).map(|row| f64::from(row).sin() + f64::from(row % 97)).collect();
        let mut reference = ReferenceProfile::build(&[("x0", &values)])?;
        let level = calibrated(&*Layout::new(reference.clone())?, &[&values], 100, 0.05)?;
        let wanted = Wanted { alpha: 0.05, window_rows: 100, alarms_per_100k: 1.0, seed: 1 };
        history::calibrate(&mut reference, &[("x0", values.as_slice().into())], &wanted)?;
        assert_eq!(reference.calibration.map(|calibration| calibration.alpha), Some(level));
        Ok(())
    }
}
