//! Features as small integers: at most 255 quantile bins, and one more for missing values.
//!
//! Trees then look for splits among bins instead of values. A feature with no more distinct values than bins loses
//! nothing: each value has its own bin, and a split between two of them is put midway, as an exact search would.
//!
//! A categorical feature has a bin for each code that occurs.

use std::sync::{Mutex, PoisonError};

use ndarray::{ArrayView1, ArrayView2};

use crate::parallel::Team;
use crate::{category, parallel, random};

/// The most bins a feature may have, without the one for missing values.
pub const MAX_BINS: usize = 255;
/// Rows from which the quantiles are taken; more rows move the edges by less than a thousandth.
const QUANTILE_ROWS: usize = 200_000;

/// One feature's bins, in ascending order of value.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureBins {
    /// Smallest value that fell into each bin.
    lowest: Vec<f64>,
    /// Largest value that fell into each bin.
    highest: Vec<f64>,
    categorical: bool,
}

impl FeatureBins {
    /// Number of bins, without the missing one. 0 when every value is missing.
    pub fn len(&self) -> usize {
        self.lowest.len()
    }

    /// Whether the feature has no value at all.
    pub fn is_empty(&self) -> bool {
        self.lowest.is_empty()
    }

    /// The bin number that stands for a missing value: the one after the last.
    pub fn missing(&self) -> usize {
        self.len()
    }

    /// Whether the bins are categories, so that their order means nothing.
    pub fn is_categorical(&self) -> bool {
        self.categorical
    }

    /// The code of a bin of a categorical feature.
    pub(crate) fn code(&self, bin: u8) -> u8 {
        self.lowest[usize::from(bin)] as u8
    }

    /// A value with every bin up to `left` at or below it and every bin from `right` on above it.
    pub fn threshold(&self, left: usize, right: usize) -> f64 {
        midpoint(self.highest[left], self.lowest[right])
    }
}

/// A matrix of features in bins, one contiguous column per feature.
#[derive(Clone, Debug)]
pub struct BinnedMatrix {
    rows: usize,
    cells: Vec<u8>,
    features: Vec<FeatureBins>,
}

impl BinnedMatrix {
    /// Bins a matrix of rows × features. `NaN` is missing; infinities are values like any other.
    /// `max_bins` is clamped to 1..=255 and the matrix may have up to `u32::MAX` rows.
    pub fn new(records: ArrayView2<'_, f64>, max_bins: usize, threads: usize) -> Self {
        Self::with_categories(records, &[], max_bins, threads)
    }

    /// The same with some features categorical: their codes are 0 to 255, everything else is missing. Should all 256
    /// occur, the rarest counts as missing, for that is how many bins there are.
    pub fn with_categories(
        records: ArrayView2<'_, f64>,
        categorical: &[usize],
        max_bins: usize,
        threads: usize,
    ) -> Self {
        Self::of_rows(records, None, categorical, max_bins, threads)
    }

    /// The same for some rows of the matrix, or all.
    pub(crate) fn of_rows(
        records: ArrayView2<'_, f64>,
        chosen: Option<&[u32]>,
        categorical: &[usize],
        max_bins: usize,
        threads: usize,
    ) -> Self {
        let rows = chosen.map_or(records.nrows(), <[u32]>::len);
        let max_bins = max_bins.clamp(1, MAX_BINS);
        let sample = (rows > QUANTILE_ROWS)
            .then(|| random::sample_sorted(&mut random::stream(0, 0), rows as u32, QUANTILE_ROWS));
        let mut cells = vec![0; rows * records.ncols()];
        // A column is one thread's at a time.
        let columns: Vec<Mutex<&mut [u8]>> = match rows {
            0 => records.columns().into_iter().map(|_| Mutex::default()).collect(),
            _ => cells.chunks_mut(rows).map(Mutex::new).collect(),
        };
        let features = parallel::map(columns.len(), threads, Vec::new, |values, feature| {
            let column = Column { values: records.column(feature), chosen };
            let mut cells = columns[feature].lock().unwrap_or_else(PoisonError::into_inner);
            if categorical.contains(&feature) {
                return assign_categories(&column, &mut cells);
            }
            values.clear();
            match &sample {
                Some(sample) => values.extend(sample.iter().map(|&row| column.value(row as usize))),
                None => values.extend(column.iter()),
            }
            values.retain(|value| !value.is_nan());
            let edges = edges(values, max_bins);
            assign(&column, &edges, &mut cells)
        });
        Self { rows, cells, features }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The features' bins.
    pub fn features(&self) -> &[FeatureBins] {
        &self.features
    }

    /// Each row's bin of one feature.
    pub fn column(&self, feature: usize) -> &[u8] {
        &self.cells[feature * self.rows..][..self.rows]
    }

    /// Every row's bins, row after row.
    pub(crate) fn by_row(&self, team: &Team) -> Vec<u8> {
        /// Rows that are written while their lines are in the first cache.
        const BLOCK: usize = 512;
        let width = self.features.len();
        let mut cells = vec![0; self.cells.len()];
        let blocks = cells.chunks_mut((BLOCK * width).max(1)).enumerate().collect();
        team.each(blocks, |(block, cells)| {
            let first = block * BLOCK;
            for feature in 0..width {
                let column = &self.column(feature)[first..];
                cells[feature..].iter_mut().step_by(width).zip(column).for_each(|(cell, bin)| *cell = *bin);
            }
        });
        cells
    }
}

/// A feature's values in some rows, or all.
struct Column<'a> {
    values: ArrayView1<'a, f64>,
    chosen: Option<&'a [u32]>,
}

impl Column<'_> {
    fn value(&self, row: usize) -> f64 {
        self.values[self.chosen.map_or(row, |chosen| chosen[row] as usize)]
    }

    fn iter(&self) -> impl Iterator<Item = f64> {
        (0..self.chosen.map_or(self.values.len(), <[u32]>::len)).map(|row| self.value(row))
    }
}

/// Upper edges of all bins but the last; `None` when there is no value. Sorts `values`, which hold no `NaN`.
fn edges(values: &mut [f64], max_bins: usize) -> Option<Vec<f64>> {
    values.sort_unstable_by(f64::total_cmp);
    let mut distinct: Vec<(f64, usize)> = Vec::new();
    for &value in values.iter() {
        match distinct.last_mut() {
            Some((last, count)) if *last == value => *count += 1,
            _ => distinct.push((value, 1)),
        }
    }
    if distinct.is_empty() {
        return None;
    }
    let mut edges = Vec::new();
    let (mut rows_left, mut in_bin) = (values.len(), 0);
    let share_values = distinct.len() > max_bins;
    for pair in distinct.windows(2) {
        let ((value, count), (next, _)) = (pair[0], pair[1]);
        in_bin += count;
        // What heavy values leave over is shared by the bins that remain.
        let target = rows_left as f64 / (max_bins - edges.len()) as f64;
        if !share_values || (in_bin as f64 >= target && edges.len() + 1 < max_bins) {
            edges.push(midpoint(value, next));
            rows_left -= in_bin;
            in_bin = 0;
        }
    }
    Some(edges)
}

/// Puts every value into its bin and notes each bin's true range (edges may come from a sample of the rows).
fn assign(column: &Column<'_>, edges: &Option<Vec<f64>>, cells: &mut [u8]) -> FeatureBins {
    let Some(edges) = edges else {
        return FeatureBins { lowest: Vec::new(), highest: Vec::new(), categorical: false };
    };
    let mut lowest = vec![f64::INFINITY; edges.len() + 1];
    let mut highest = vec![f64::NEG_INFINITY; edges.len() + 1];
    for (cell, value) in cells.iter_mut().zip(column.iter()) {
        if value.is_nan() {
            *cell = (edges.len() + 1) as u8;
            continue;
        }
        let bin = edges.partition_point(|edge| *edge < value);
        lowest[bin] = lowest[bin].min(value);
        highest[bin] = highest[bin].max(value);
        *cell = bin as u8;
    }
    FeatureBins { lowest, highest, categorical: false }
}

/// Gives every code that occurs a bin, in ascending order.
fn assign_categories(column: &Column<'_>, cells: &mut [u8]) -> FeatureBins {
    let mut counts = [0_usize; 256];
    column.iter().filter_map(category::code).for_each(|code| counts[usize::from(code)] += 1);
    let mut occurring: Vec<usize> = (0..256).filter(|&code| counts[code] > 0).collect();
    if occurring.len() > MAX_BINS {
        let rarest = (0..256).min_by_key(|&code| (counts[code], std::cmp::Reverse(code)));
        occurring.retain(|&code| Some(code) != rarest);
    }
    let mut bins = [occurring.len() as u8; 256];
    occurring.iter().enumerate().for_each(|(bin, &code)| bins[code] = bin as u8);
    let missing = occurring.len() as u8;
    for (cell, value) in cells.iter_mut().zip(column.iter()) {
        *cell = category::code(value).map_or(missing, |code| bins[usize::from(code)]);
    }
    let values: Vec<f64> = occurring.into_iter().map(|code| code as f64).collect();
    FeatureBins { lowest: values.clone(), highest: values, categorical: true }
}

/// A value `t` with `low <= t < high`, midway where the arithmetic allows; `low < high`.
pub(crate) fn midpoint(low: f64, high: f64) -> f64 {
    let middle = low / 2.0 + high / 2.0;
    if low <= middle && middle < high { middle } else { low }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    fn bins_of(values: Vec<f64>, max_bins: usize) -> BinnedMatrix {
        let rows = values.len();
        BinnedMatrix::new(Array2::from_shape_vec((rows, 1), values).unwrap().view(), max_bins, 1)
    }

    #[test]
    fn few_distinct_values_each_have_a_bin_and_splits_fall_midway() {
        let binned = bins_of(vec![3.0, 1.0, f64::NAN, 2.0, 1.0], 255);
        assert_eq!(binned.column(0), [2, 0, 3, 1, 0]);
        let feature = &binned.features()[0];
        assert_eq!((feature.len(), feature.missing()), (3, 3));
        assert_eq!(feature.threshold(0, 1), 1.5);
        assert_eq!(feature.threshold(0, 2), 2.0);
    }

    #[test]
    fn many_values_share_bins_of_equal_size() {
        let binned = bins_of((0..10_000).map(f64::from).collect(), 10);
        let mut counts = [0; 10];
        binned.column(0).iter().for_each(|&bin| counts[bin as usize] += 1);
        assert_eq!(counts, [1_000; 10]);
    }

    #[test]
    fn a_heavy_value_does_not_starve_the_others() {
        let mut values = vec![0.0; 90_000];
        values.extend((1..=1_000).map(f64::from));
        assert_eq!(bins_of(values, 101).features()[0].len(), 101);
    }

    #[test]
    fn infinities_huge_values_and_negative_zero_are_values() {
        let binned = bins_of(vec![f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 1e308, 1.7e308], 255);
        assert_eq!(binned.column(0), [4, 0, 1, 1, 2, 3]);
        let feature = &binned.features()[0];
        for bin in 0..4 {
            let threshold = feature.threshold(bin, bin + 1);
            assert!(feature.highest[bin] <= threshold && threshold < feature.lowest[bin + 1]);
        }
    }

    #[test]
    fn a_column_without_values_has_only_the_missing_bin() {
        let binned = BinnedMatrix::new(array![[f64::NAN, 5.0], [f64::NAN, 5.0]].view(), 255, 2);
        assert!(binned.features()[0].is_empty());
        assert_eq!(binned.column(0), [0, 0]);
        assert_eq!(binned.features()[1].len(), 1);
    }

    #[test]
    fn categories_have_a_bin_per_code() {
        let values = array![[7.0], [-1.0], [0.0], [f64::NAN], [255.0], [7.0]];
        let binned = BinnedMatrix::with_categories(values.view(), &[0], 255, 1);
        assert_eq!(binned.column(0), [1, 3, 0, 3, 2, 1]);
        let feature = &binned.features()[0];
        assert!(feature.is_categorical());
        assert_eq!([0, 1, 2].map(|bin| feature.code(bin)), [0, 7, 255]);
    }

    #[test]
    fn the_rarest_of_256_categories_counts_as_missing() {
        let rows = (0..512).map(|row| f64::from(row % 256)).filter(|&code| code != 9.0).chain([9.0]);
        let values: Vec<f64> = rows.collect();
        let matrix = Array2::from_shape_vec((values.len(), 1), values).unwrap();
        let binned = BinnedMatrix::with_categories(matrix.view(), &[0], 255, 1);
        let feature = &binned.features()[0];
        assert_eq!((feature.len(), binned.column(0)[510]), (255, 255));
        assert!((0..255).all(|bin| feature.code(bin) != 9));
    }

    #[test]
    fn edges_from_a_sample_still_order_every_row() {
        let values: Vec<f64> = (0..300_000).map(|i| f64::from(i) * 0.5).collect();
        let binned = bins_of(values.clone(), 255);
        let feature = &binned.features()[0];
        let threshold = feature.threshold(100, 101);
        for (&bin, value) in binned.column(0).iter().zip(values) {
            assert_eq!(bin <= 100, value <= threshold);
        }
    }
}
