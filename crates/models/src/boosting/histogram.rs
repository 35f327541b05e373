//! Sums of gradients by bin.
//!
//! Gradients are whole numbers here, parts of the largest one: their sums are exact. So they do not depend on the order of
//! the rows nor on who adds them up, and what is left of a parent's sums without one child's is the other child's to the bit.

use std::hint::black_box;
use std::ops::Range;

use super::loss::Gradient;
use crate::binning::BinnedMatrix;
use crate::parallel::Team;

/// Cells (rows × features) from which a histogram is shared out.
const CELLS_PER_THREAD: usize = 1 << 16;
/// Features whose bins are filled together, so that these stay in the first cache.
const LANES: usize = 8;
/// Rows that are read together: few enough that what was read of them stays in the first cache.
const BLOCK: usize = 256;
/// Bytes that come from memory together.
const LINE: usize = 64;

/// A row's derivatives in units of a [`Scale`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part {
    first: i64,
    second: u64,
}

/// Sums over some rows, in units of a [`Scale`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// Of the first derivatives.
    first: i64,
    /// Of the second derivatives, of which there are none below 0.
    second: u64,
    /// The number of rows.
    pub count: u64,
}

impl Sums {
    #[inline]
    pub fn add(&mut self, other: &Self) {
        // Within range by the choice of the scale.
        self.first = self.first.wrapping_add(other.first);
        self.second = self.second.wrapping_add(other.second);
        self.count = self.count.wrapping_add(other.count);
    }

    #[inline]
    pub fn minus(&self, other: &Self) -> Self {
        Self {
            first: self.first.wrapping_sub(other.first),
            second: self.second.wrapping_sub(other.second),
            count: self.count.wrapping_sub(other.count),
        }
    }
}

impl From<&Part> for Sums {
    /// The sums of one row.
    #[inline]
    fn from(part: &Part) -> Self {
        Self { first: part.first, second: part.second, count: 1 }
    }
}

/// The same as numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub first: f64,
    pub second: f64,
}

/// How gradients become whole numbers: parts of the largest first and of the largest second derivative, as small as lets the
/// sums over all rows still fit. With a million rows, that is 2⁻⁴²: one outlier among the rows does not blur the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    first: f64,
    second: f64,
    unit_of_first: f64,
    unit_of_second: f64,
}

impl Scale {
    /// For so many rows, none of whose derivatives is larger than `largest`, without its sign.
    pub fn new(rows: usize, largest: Gradient) -> Self {
        // A number of 64 bits, less its sign; no more of them than a derivative has.
        let bits = (62 - (usize::BITS - rows.leading_zeros()) as i32).clamp(1, 52);
        let (first, unit_of_first) = factor(largest.first, bits);
        let (second, unit_of_second) = factor(largest.second, bits);
        Self { first, second, unit_of_first, unit_of_second }
    }

    /// A row's derivatives.
    #[inline]
    pub fn part(&self, gradient: Gradient) -> Part {
        // The casts cut off: with the half, they round.
        let first = gradient.first * self.first;
        Part { first: (first + 0.5_f64.copysign(first)) as i64, second: (gradient.second * self.second + 0.5) as u64 }
    }

    /// The derivatives' sums.
    #[inline]
    pub fn totals(&self, sums: &Sums) -> Totals {
        // Signed numbers become floating-point ones in one step.
        Totals {
            first: sums.first as f64 * self.unit_of_first,
            second: sums.second as i64 as f64 * self.unit_of_second,
        }
    }
}

/// The power of two that brings numbers up to `largest` just below 2^`bits`, and its inverse.
fn factor(largest: f64, bits: i32) -> (f64, f64) {
    // Of the power of two above it.
    let exponent = (largest.to_bits() >> 52) as i32 - 1022;
    // Neither factor leaves the range of numbers.
    let power = (bits - exponent).clamp(-1000, 1000);
    (2.0_f64.powi(power), 2.0_f64.powi(-power))
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

    /// Where a feature's bins are in a histogram.
    pub fn range(&self, feature: usize) -> Range<usize> {
        self.offsets[feature]..self.offsets[feature + 1]
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
        histogram[self.range(0)].iter().for_each(|bin| sums.add(bin));
        sums
    }

    fn empty(&mut self) -> Vec<Sums> {
        let mut histogram = self.spare.pop().unwrap_or_default();
        histogram.clear();
        histogram.resize(self.offsets[self.offsets.len() - 1], Sums::default());
        histogram
    }

    /// The sums over some rows.
    pub fn build(&mut self, rows: &[u32], gradients: &[Part]) -> Vec<Sums> {
        let n_features = self.binned.features().len();
        let cells = rows.len() * n_features;
        // A thread's own histogram must be emptied and added up: that is worth it for several times as many cells.
        let worth = (cells / CELLS_PER_THREAD).min(cells / (4 * self.offsets[n_features]).max(1));
        let threads = self.team.threads().min(worth).max(1);
        let mut histogram = self.empty();
        if threads == 1 {
            self.fill(rows, gradients, &mut histogram);
            return histogram;
        }
        let mut others: Vec<Vec<Sums>> = (1..threads).map(|_| self.empty()).collect();
        let parts = std::iter::once(&mut histogram).chain(&mut others);
        let shares = rows.chunks(rows.len().div_ceil(threads)).zip(parts).collect();
        self.team.each(shares, |(rows, part)| self.fill(rows, gradients, part));
        for other in others {
            histogram.iter_mut().zip(&other).for_each(|(sums, more)| sums.add(more));
            self.recycle(other);
        }
        histogram
    }

    /// Adds rows to the bins of all features.
    fn fill(&self, rows: &[u32], gradients: &[Part], histogram: &mut [Sums]) {
        let mut of_block = [Sums::default(); BLOCK];
        for rows in rows.chunks(BLOCK) {
            self.fetch(rows, gradients, &mut of_block);
            for first in (0..self.binned.features().len()).step_by(LANES) {
                let lanes = &self.offsets[first..self.offsets.len() - 1];
                let cells = &self.cells[first..];
                match lanes.len() {
                    1 => self.fill_lanes::<1>(rows, &of_block, cells, lanes, histogram),
                    2 => self.fill_lanes::<2>(rows, &of_block, cells, lanes, histogram),
                    3 => self.fill_lanes::<3>(rows, &of_block, cells, lanes, histogram),
                    4 => self.fill_lanes::<4>(rows, &of_block, cells, lanes, histogram),
                    5 => self.fill_lanes::<5>(rows, &of_block, cells, lanes, histogram),
                    6 => self.fill_lanes::<6>(rows, &of_block, cells, lanes, histogram),
                    7 => self.fill_lanes::<7>(rows, &of_block, cells, lanes, histogram),
                    _ => self.fill_lanes::<LANES>(rows, &of_block, cells, lanes, histogram),
                }
            }
        }
    }

    /// Copies the gradients of a block's rows and touches their bins. Rows are far apart in memory: a loop that does nothing
    /// else waits for many of them at a time.
    fn fetch(&self, rows: &[u32], gradients: &[Part], of_block: &mut [Sums; BLOCK]) {
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

    /// Adds rows to the bins of `N` features in a row; the compiler unrolls their loop. `cells` and `lanes` start with them.
    fn fill_lanes<const N: usize>(
        &self,
        rows: &[u32],
        gradients: &[Sums; BLOCK],
        cells: &[u8],
        lanes: &[usize],
        histogram: &mut [Sums],
    ) {
        let Some(lanes) = lanes.first_chunk::<N>() else { return };
        let width = self.binned.features().len();
        for (&row, gradient) in rows.iter().zip(gradients) {
            let Some(bins) = cells.get((row as usize).wrapping_mul(width)..).and_then(<[u8]>::first_chunk::<N>) else {
                return;
            };
            for lane in 0..N {
                histogram[lanes[lane].wrapping_add(usize::from(bins[lane]))].add(gradient);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_and_fit_whatever_the_number_of_rows_and_their_size() {
        for rows in [1_usize, 2, 1_000, 1 << 20] {
            for size in [1.0, 1e-200, 0.7, 1e90] {
                let largest = Gradient { first: size, second: size };
                let scale = Scale::new(rows, largest);
                let one = Sums::from(&scale.part(Gradient { first: -size, ..largest }));
                let mut sums = Sums::default();
                (0..rows).for_each(|_| sums.add(&one));
                let totals = scale.totals(&sums);
                let expected = size * rows as f64;
                assert_eq!(sums.count, rows as u64);
                assert!((totals.first + expected).abs() <= 1e-6 * expected, "{totals:?} {expected}");
                assert!((totals.second - expected).abs() <= 1e-6 * expected, "{totals:?} {expected}");
                assert_eq!(sums.minus(&sums), Sums::default());
            }
        }
    }

    #[test]
    fn small_derivatives_are_told_apart_beside_large_ones() {
        let scale = Scale::new(1 << 24, Gradient { first: 1e9, second: 0.25 });
        let totals = |first, second| scale.totals(&Sums::from(&scale.part(Gradient { first, second })));
        assert!((totals(-1.0, 1e-5).first + 1.0).abs() < 0.01);
        assert!((totals(1.0, 1e-5).second - 1e-5).abs() < 1e-10);
    }
}
