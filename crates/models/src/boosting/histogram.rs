//! Sums of gradients by bin.

use std::ops::Range;
use std::thread;

use super::loss::Gradient;
use crate::binning::BinnedMatrix;

/// Below this many cells (rows × features) a histogram is built faster by one thread than threads are started.
const CELLS_PER_THREAD: usize = 1 << 19;

/// Sums over the rows of one bin.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bin {
    pub first: f64,
    pub second: f64,
    pub count: u32,
}

impl Bin {
    pub fn add(&mut self, other: &Bin) {
        self.first += other.first;
        self.second += other.second;
        self.count += other.count;
    }

    pub fn minus(&self, other: &Bin) -> Bin {
        Bin { first: self.first - other.first, second: self.second - other.second, count: self.count - other.count }
    }
}

/// Builds histograms of all features, and keeps the memory of those no longer needed.
pub(super) struct Histograms<'a> {
    binned: &'a BinnedMatrix,
    threads: usize,
    /// Where each feature's bins start in a histogram (value bins, then the missing one), and the total.
    offsets: Vec<usize>,
    ordered: Vec<Gradient>,
    spare: Vec<Vec<Bin>>,
}

impl<'a> Histograms<'a> {
    pub fn new(binned: &'a BinnedMatrix, threads: usize) -> Self {
        let mut offsets = vec![0];
        for feature in binned.features() {
            offsets.push(offsets[offsets.len() - 1] + feature.len() + 1);
        }
        Self { binned, threads, offsets, ordered: Vec::new(), spare: Vec::new() }
    }

    /// Where a feature's bins are in a histogram.
    pub fn range(&self, feature: usize) -> Range<usize> {
        self.offsets[feature]..self.offsets[feature + 1]
    }

    /// Takes back a histogram that is no longer needed.
    pub fn recycle(&mut self, histogram: Vec<Bin>) {
        if !histogram.is_empty() {
            self.spare.push(histogram);
        }
    }

    /// The sums over some rows.
    pub fn build(&mut self, rows: &[u32], gradients: &[Gradient]) -> Vec<Bin> {
        let n_bins = self.offsets[self.offsets.len() - 1];
        let mut histogram = self.spare.pop().unwrap_or_default();
        histogram.clear();
        histogram.resize(n_bins, Bin::default());
        self.ordered.clear();
        self.ordered.extend(rows.iter().map(|&row| gradients[row as usize]));
        let n_features = self.binned.features().len();
        let threads = self.threads.min(rows.len() * n_features / CELLS_PER_THREAD).max(1);
        if threads == 1 {
            fill(self.binned, &self.offsets, 0..n_features, rows, &self.ordered, &mut histogram);
            return histogram;
        }
        // Each thread fills the bins of its own features, so the sums are the same for any number of threads.
        thread::scope(|scope| {
            let mut rest = histogram.as_mut_slice();
            let mut first = 0;
            for thread in 0..threads {
                let end = n_features * (thread + 1) / threads;
                let (part, others) = rest.split_at_mut(self.offsets[end] - self.offsets[first]);
                let (binned, offsets, ordered, features) = (self.binned, &self.offsets, &self.ordered, first..end);
                let work = move || fill(binned, offsets, features, rows, ordered, part);
                if thread + 1 == threads {
                    work();
                } else {
                    scope.spawn(work);
                }
                (rest, first) = (others, end);
            }
        });
        histogram
    }
}

/// Adds rows to the bins of some features; `histogram` starts with the first of them.
fn fill(
    binned: &BinnedMatrix,
    offsets: &[usize],
    features: Range<usize>,
    rows: &[u32],
    gradients: &[Gradient],
    histogram: &mut [Bin],
) {
    let first = offsets[features.start];
    for feature in features {
        let column = binned.column(feature);
        let bins = &mut histogram[offsets[feature] - first..offsets[feature + 1] - first];
        for (&row, gradient) in rows.iter().zip(gradients) {
            let bin = &mut bins[column[row as usize] as usize];
            bin.first += gradient.first;
            bin.second += gradient.second;
            bin.count += 1;
        }
    }
}
