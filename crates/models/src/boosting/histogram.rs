//! Sums of gradients by bin.
//!
//! Gradients are rounded to multiples of a power of two so large that a floating-point number holds the sum over all rows:
//! sums are exact. So they do not depend on the order of the rows nor on who adds them up, and what is left of a parent's
//! sums without one child's is the other child's to the bit.

use std::hint::black_box;
use std::ops::Range;

use super::loss::Gradient;
use crate::binning::BinnedMatrix;
use crate::parallel::Team;

/// Cells (rows × features) from which a histogram is shared out.
const CELLS_PER_THREAD: usize = 1 << 16;
/// What a bin takes beside a cell: it is emptied, parted from its parent's, and scored for two leaves.
const CELLS_PER_BIN: usize = 6;
/// Cells' worth of work from which a thread takes a part of the features.
const CELLS_PER_PART: usize = 1 << 12;
/// Features whose bins are filled together, so that these stay in the first cache.
const LANES: usize = 8;
/// Rows that are read together: few enough that what was read of them stays in the first cache.
const BLOCK: usize = 256;
/// Bytes that come from memory together.
const LINE: usize = 64;

/// Sums over some rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sums {
    /// Of the first derivatives.
    pub first: f64,
    /// Of the second derivatives, of which there are none below 0.
    pub second: f64,
    /// The number of rows.
    pub count: u64,
}

impl Sums {
    #[inline]
    pub fn add(&mut self, other: &Self) {
        self.first += other.first;
        self.second += other.second;
        self.count = self.count.wrapping_add(other.count);
    }

    #[inline]
    pub fn minus(&self, other: &Self) -> Self {
        Self {
            first: self.first - other.first,
            second: self.second - other.second,
            count: self.count.wrapping_sub(other.count),
        }
    }
}

impl From<&Gradient> for Sums {
    /// The sums of one row.
    #[inline]
    fn from(gradient: &Gradient) -> Self {
        Self { first: gradient.first, second: gradient.second, count: 1 }
    }
}

/// What gradients are rounded to, so that their sums are exact.
///
/// With u the power of two for which the sum of all derivatives without their signs lies below 2⁵² u, one is rounded by up to
/// u/2, and of fewer than 2³² rows no sum leaves ±2⁵³ u, up to where every multiple of u is a number. By the choice of u,
/// u/2 is no more than 2⁻⁵² of the sum: what the last bit of a sum over all rows is worth anyway. A leaf's sum is off by no more
/// than that for each of its rows; with a million equal rows, 2⁻³² of a derivative.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    /// 2⁵² u: numbers this large have no digits below u.
    first: f64,
    second: f64,
}

impl Grid {
    /// For rows with these sums of derivatives without their signs, which may be rounded.
    pub fn new(sums: Gradient) -> Self {
        Self { first: power_above(sums.first), second: power_above(sums.second) }
    }

    /// A row's derivatives, rounded.
    #[inline]
    pub fn round(&self, gradient: Gradient) -> Gradient {
        let first = self.first.copysign(gradient.first);
        Gradient { first: (gradient.first + first) - first, second: (gradient.second + self.second) - self.second }
    }
}

/// The power of two above a number, kept off the ends of the range of numbers.
fn power_above(number: f64) -> f64 {
    let exponent = (number.to_bits() >> 52) as i32 - 1022;
    2.0_f64.powi(exponent.clamp(-900, 1000))
}

/// Builds histograms of all features, and keeps the memory of those no longer needed.
pub(super) struct Histograms<'a> {
    binned: &'a BinnedMatrix,
    team: &'a Team,
    /// Every row's bins, row after row.
    cells: Vec<u8>,
    /// Where each feature's bins start in a histogram (value bins, then the missing one), and the total.
    offsets: Vec<usize>,
    spare: Vec<Vec<Sums>>,
}

impl<'a> Histograms<'a> {
    pub fn new(binned: &'a BinnedMatrix, team: &'a Team) -> Self {
        let mut offsets = vec![0];
        for feature in binned.features() {
            offsets.push(offsets[offsets.len() - 1] + feature.len() + 1);
        }
        Self { binned, team, cells: binned.by_row(team), offsets, spare: Vec::new() }
    }

    /// Where some features' bins are in a histogram.
    pub fn range(&self, features: Range<usize>) -> Range<usize> {
        self.offsets[features.start]..self.offsets[features.end]
    }

    /// A feature's bins among those of some features, of which `first` is the first one.
    pub fn of_feature<'b>(&self, bins: &'b [Sums], first: usize, feature: usize) -> &'b [Sums] {
        let range = self.range(feature..feature + 1);
        &bins[range.start - self.offsets[first]..range.end - self.offsets[first]]
    }

    /// Takes back a histogram that is no longer needed.
    pub fn recycle(&mut self, histogram: Vec<Sums>) {
        if !histogram.is_empty() {
            self.spare.push(histogram);
        }
    }

    /// The sums over all rows of a histogram: over the bins of any feature.
    pub fn sums(&self, histogram: &[Sums]) -> Sums {
        let mut sums = Sums::default();
        histogram[self.range(0..1)].iter().for_each(|bin| sums.add(bin));
        sums
    }

    /// A histogram of whatever sums.
    pub fn any(&mut self) -> Vec<Sums> {
        self.spare.pop().unwrap_or_else(|| vec![Sums::default(); self.offsets[self.offsets.len() - 1]])
    }

    /// The features in parts for as many threads as are worth it, each as much work as another: to count so many rows, and to
    /// look for the best split in two histograms.
    pub fn parts(&self, rows: usize) -> Vec<Range<usize>> {
        let n_features = self.binned.features().len();
        let work = |feature: usize| feature * rows + self.offsets[feature] * CELLS_PER_BIN;
        let all = work(n_features);
        let parts = self.team.threads().min(all / CELLS_PER_PART).clamp(1, n_features);
        let mut ranges = Vec::with_capacity(parts);
        let mut start = 0;
        for part in 1..=parts {
            let after = (start + 1..n_features).find(|&feature| work(feature) * parts >= all * part);
            let end = after.filter(|_| part < parts).unwrap_or(n_features);
            ranges.push(start..end);
            start = end;
            if start == n_features {
                break;
            }
        }
        ranges
    }

    /// The bins of each part of the features.
    pub fn cut<'b>(&self, mut bins: &'b mut [Sums], parts: &[Range<usize>]) -> impl Iterator<Item = &'b mut [Sums]> {
        let sizes = parts.iter().map(|features| self.range(features.clone()).len());
        sizes.map(move |size| bins.split_off_mut(..size).unwrap_or_default())
    }

    /// Whether threads share the rows to count them, rather than the features.
    pub fn shares(&self, rows: usize) -> bool {
        self.sharing(rows) > 1
    }

    /// How many threads share the rows.
    fn sharing(&self, rows: usize) -> usize {
        let n_features = self.binned.features().len();
        let cells = rows * n_features;
        // A thread's own histogram must be emptied and added up: that is worth it for several times as many cells.
        let worth = (cells / CELLS_PER_THREAD).min(cells / (4 * self.offsets[n_features]).max(1));
        self.team.threads().min(worth).max(1)
    }

    /// The sums over some rows.
    pub fn build(&mut self, rows: &[u32], gradients: &[Gradient]) -> Vec<Sums> {
        let n_features = self.binned.features().len();
        let size = rows.len().div_ceil(self.sharing(rows.len())).max(1);
        // As many as there are shares, which may be fewer than threads: one that is not counted into holds whatever sums.
        let mut histograms: Vec<Vec<Sums>> = (0..rows.len().div_ceil(size).max(1)).map(|_| self.any()).collect();
        let shares = rows.chunks(size).zip(&mut histograms).collect();
        self.team.each(shares, |(rows, histogram)| self.count(&(0..n_features), rows, gradients, histogram));
        let mut histograms = histograms.into_iter();
        let mut histogram = histograms.next().unwrap_or_default();
        for other in histograms {
            histogram.iter_mut().zip(&other).for_each(|(sums, more)| sums.add(more));
            self.recycle(other);
        }
        histogram
    }

    /// Writes the sums over some rows to the bins of some features.
    pub fn count(&self, features: &Range<usize>, rows: &[u32], gradients: &[Gradient], bins: &mut [Sums]) {
        bins.fill(Sums::default());
        let passes = features.len().div_ceil(LANES);
        let lanes = features.len().div_ceil(passes);
        let mut of_block = [Sums::default(); BLOCK];
        for rows in rows.chunks(BLOCK) {
            self.fetch(rows, gradients, &mut of_block);
            for first in features.clone().step_by(lanes) {
                let of_lanes = self.range(first..features.end.min(first + lanes));
                let start = self.offsets[features.start];
                let bins = &mut bins[of_lanes.start - start..of_lanes.end - start];
                match features.end.min(first + lanes) - first {
                    1 => self.fill_lanes::<1>(rows, &of_block, first, bins),
                    2 => self.fill_lanes::<2>(rows, &of_block, first, bins),
                    3 => self.fill_lanes::<3>(rows, &of_block, first, bins),
                    4 => self.fill_lanes::<4>(rows, &of_block, first, bins),
                    5 => self.fill_lanes::<5>(rows, &of_block, first, bins),
                    6 => self.fill_lanes::<6>(rows, &of_block, first, bins),
                    7 => self.fill_lanes::<7>(rows, &of_block, first, bins),
                    _ => self.fill_lanes::<LANES>(rows, &of_block, first, bins),
                }
            }
        }
    }

    /// Copies the gradients of a block's rows and touches their bins. Rows are far apart in memory: a loop that does nothing
    /// else waits for many of them at a time.
    fn fetch(&self, rows: &[u32], gradients: &[Gradient], of_block: &mut [Sums; BLOCK]) {
        let width = self.binned.features().len();
        let mut touched = 0;
        for (&row, gradient) in rows.iter().zip(of_block) {
            *gradient = Sums::from(&gradients[row as usize]);
            let (mut place, end) = ((row as usize).wrapping_mul(width), (row as usize + 1).wrapping_mul(width));
            touched ^= self.cells[end.wrapping_sub(1)];
            while place < end {
                touched ^= self.cells[place];
                place = place.wrapping_add(LINE);
            }
        }
        black_box(touched);
    }

    /// Adds rows to the bins of `N` features in a row, from `first` on; the compiler unrolls their loop.
    fn fill_lanes<const N: usize>(&self, rows: &[u32], gradients: &[Sums; BLOCK], first: usize, bins: &mut [Sums]) {
        let offsets: [usize; N] = std::array::from_fn(|lane| self.offsets[first + lane] - self.offsets[first]);
        let (cells, width) = (&self.cells[first..], self.binned.features().len());
        for (&row, gradient) in rows.iter().zip(gradients) {
            let Some(of_row) = cells.get((row as usize).wrapping_mul(width)..).and_then(<[u8]>::first_chunk::<N>)
            else {
                return;
            };
            for lane in 0..N {
                bins[offsets[lane].wrapping_add(usize::from(of_row[lane]))].add(gradient);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums<'a>(gradients: impl IntoIterator<Item = &'a Gradient>) -> Sums {
        let mut sums = Sums::default();
        gradients.into_iter().for_each(|gradient| sums.add(&Sums::from(gradient)));
        sums
    }

    /// Rounded, and their sums without signs.
    fn rounded(gradients: &[Gradient]) -> (Vec<Gradient>, Gradient) {
        let absolute = gradients.iter().fold(Gradient::default(), |sum, gradient| sum.plus(*gradient));
        let grid = Grid::new(absolute);
        (gradients.iter().map(|&gradient| grid.round(gradient)).collect(), absolute)
    }

    /// From 1e-9 to 1e9, with either sign.
    fn wide(rows: usize) -> Vec<Gradient> {
        let size = |row: usize| 10.0_f64.powf((row * 7919 % 1801) as f64 / 100.0 - 9.0);
        (0..rows)
            .map(|row| Gradient { first: if row % 3 == 0 { -size(row) } else { size(row) }, second: size(row + 5) })
            .collect()
    }

    #[test]
    fn sums_are_exact_whatever_their_order_and_size() {
        for (rows, size) in [(1, 1.0), (2, 1e-200), (1_000, 0.7), (100_000, 1e90)] {
            let (gradients, _) = rounded(&wide(rows).iter().map(|gradient| gradient.times(size)).collect::<Vec<_>>());
            let all = sums(&gradients);
            assert_eq!(all, sums(gradients.iter().rev()));
            let (some, others) = gradients.split_at(rows / 3);
            assert_eq!(all.minus(&sums(some)), sums(others));
            assert_eq!(all.minus(&all), Sums::default());
        }
    }

    #[test]
    fn no_derivative_is_rounded_by_more_than_a_share_of_the_sum() {
        let gradients = wide(10_000);
        let (rounded, sum) = rounded(&gradients);
        let unit = 2.0_f64.powi(-52);
        for (exact, rounded) in gradients.iter().zip(&rounded) {
            assert!((exact.first - rounded.first).abs() <= unit * sum.first);
            assert!((exact.second - rounded.second).abs() <= unit * sum.second);
        }
    }

    #[test]
    fn small_derivatives_are_told_apart_beside_large_ones() {
        let mut gradients = vec![Gradient { first: 1.0, second: 1e-5 }; 1 << 20];
        gradients[0] = Gradient { first: -1e9, second: 0.25 };
        let (gradients, _) = rounded(&gradients);
        assert!((gradients[1].first - 1.0).abs() < 1e-6);
        assert!((gradients[1].second - 1e-5).abs() < 1e-13);
    }

    #[test]
    fn rows_without_derivatives_stay_without() {
        let (gradients, _) = rounded(&[Gradient::default(); 3]);
        assert_eq!(sums(&gradients), Sums { count: 3, ..Sums::default() });
    }
}
