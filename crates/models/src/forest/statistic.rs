//! What a forest's splits are judged by: sums over the rows of a node, of each bin and of the left side.

use crate::Task;
use crate::training::Training;

/// The sums of one node. First [`Self::start_node`]; then for each feature rows are added to bins; then bins move from the
/// right side to the left, and each border between them has a score.
pub(super) trait Statistic<'a> {
    /// A row with what is summed of it.
    type Sample: Copy;

    fn new(training: &'a Training<'a>) -> Self;

    /// A row that was drawn so many times.
    fn sample(&self, row: usize, draws: u32) -> Self::Sample;
    fn row(sample: &Self::Sample) -> usize;

    /// Sums up the node's rows.
    fn start_node(&mut self, samples: &[Self::Sample]);
    /// Draws in the node.
    fn draws(&self) -> u64;
    /// Whether all targets of the node are the same.
    fn is_pure(&self) -> bool;
    /// Weight of the node.
    fn cover(&self) -> f64;
    /// What a leaf of the node's rows answers.
    fn outputs(&self) -> impl Iterator<Item = f64>;

    fn add(&mut self, bin: usize, sample: &Self::Sample);
    fn clear(&mut self, bin: usize);
    /// Categories in ascending order of this are split at a border: for two classes or values no other subset is better
    /// (Fisher, "On grouping for maximum homogeneity", 1958; Breiman et al., "Classification and Regression Trees", 1984,
    /// theorem 4.5). For more classes, which have no such order, it is the share of the node's most frequent class.
    fn order(&self, bin: usize) -> f64;

    /// Everything is on the right side.
    fn start_scan(&mut self);
    /// Moves a bin to the left side.
    fn shift(&mut self, bin: usize);
    /// Draws on the left side.
    fn draws_left(&self) -> u64;
    /// The higher, the lower the weighted impurity of the two sides.
    fn score(&self) -> f64;
}

/// Class counts of rows that weigh the same. Whole numbers, so that a score does not depend on the order of the rows.
pub(super) struct Counts<'a> {
    targets: &'a [f64],
    n_classes: usize,
    /// The class by whose share categories are ordered.
    leading: usize,
    totals: Vec<u64>,
    left: Vec<u64>,
    /// 256 bins × classes, all zero between features.
    bins: Vec<u32>,
    draws: u64,
    draws_left: u64,
    /// Sums of squared class counts. At most 2³¹ rows, so they fit.
    squares: u64,
    squares_left: u64,
    squares_right: u64,
}

/// A row of the bootstrap.
#[derive(Clone, Copy)]
pub(super) struct Counted {
    row: u32,
    class: u32,
    draws: u32,
}

impl<'a> Statistic<'a> for Counts<'a> {
    type Sample = Counted;

    fn new(training: &'a Training<'a>) -> Self {
        let n_classes = training.task.n_outputs();
        Self {
            targets: &training.targets,
            n_classes,
            leading: 0,
            totals: vec![0; n_classes],
            left: vec![0; n_classes],
            bins: vec![0; 256 * n_classes],
            draws: 0,
            draws_left: 0,
            squares: 0,
            squares_left: 0,
            squares_right: 0,
        }
    }

    fn sample(&self, row: usize, draws: u32) -> Counted {
        Counted { row: row as u32, class: self.targets[row] as u32, draws }
    }

    #[inline]
    fn row(sample: &Counted) -> usize {
        sample.row as usize
    }

    fn start_node(&mut self, samples: &[Counted]) {
        self.totals.fill(0);
        for sample in samples {
            self.totals[sample.class as usize] += u64::from(sample.draws);
        }
        self.draws = self.totals.iter().sum();
        self.squares = self.totals.iter().map(|count| count * count).sum();
        self.leading = leading(&self.totals);
    }

    #[inline]
    fn draws(&self) -> u64 {
        self.draws
    }

    fn is_pure(&self) -> bool {
        self.totals.contains(&self.draws)
    }

    fn cover(&self) -> f64 {
        self.draws as f64
    }

    fn outputs(&self) -> impl Iterator<Item = f64> {
        self.totals.iter().map(|&count| count as f64 / self.draws as f64)
    }

    #[inline]
    fn add(&mut self, bin: usize, sample: &Counted) {
        self.bins[bin * self.n_classes + sample.class as usize] += sample.draws;
    }

    #[inline]
    fn clear(&mut self, bin: usize) {
        self.bins[bin * self.n_classes..][..self.n_classes].fill(0);
    }

    fn order(&self, bin: usize) -> f64 {
        let counts = &self.bins[bin * self.n_classes..][..self.n_classes];
        let draws: u64 = counts.iter().map(|&count| u64::from(count)).sum();
        f64::from(counts[self.leading]) / draws as f64
    }

    fn start_scan(&mut self) {
        self.left.fill(0);
        self.draws_left = 0;
        self.squares_left = 0;
        self.squares_right = self.squares;
    }

    /// (l + c)² = l² + c (2 l + c), (r - c)² = r² - c (2 r - c).
    #[inline]
    fn shift(&mut self, bin: usize) {
        let n_classes = self.n_classes;
        let counts = &self.bins[bin * n_classes..][..n_classes];
        let (left, totals) = (&mut self.left[..n_classes], &self.totals[..n_classes]);
        // Indexed: this is the innermost loop, and what iterators cost here shows.
        for class in 0..n_classes {
            let count = u64::from(counts[class]);
            if count == 0 {
                continue;
            }
            self.squares_left += count * (2 * left[class] + count);
            self.squares_right -= count * (2 * (totals[class] - left[class]) - count);
            left[class] += count;
            self.draws_left += count;
        }
    }

    #[inline]
    fn draws_left(&self) -> u64 {
        self.draws_left
    }

    #[inline]
    fn score(&self) -> f64 {
        let draws_right = self.draws - self.draws_left;
        self.squares_left as f64 / self.draws_left as f64 + self.squares_right as f64 / draws_right as f64
    }
}

/// Sums of weights by class, or of weighted values. Each tree adds its rows in their order, so the bits are the same
/// whichever thread grows it.
pub(super) struct Moments<'a> {
    training: &'a Training<'a>,
    /// The mean of all values, which they are summed without: otherwise a large mean would drown what they differ by.
    center: f64,
    width: usize,
    leading: usize,
    total: Sums,
    left: Sums,
    /// 256 bins, all zero between features.
    bins: Sums,
    /// Range of the node's values.
    range: (f64, f64),
}

/// Sums of one or more bins, flat.
struct Sums {
    draws: Vec<u64>,
    weights: Vec<f64>,
    /// Weight of each class, or the one sum of weighted values: bins × width.
    sums: Vec<f64>,
}

impl Sums {
    fn new(bins: usize, width: usize) -> Self {
        Self { draws: vec![0; bins], weights: vec![0.0; bins], sums: vec![0.0; bins * width] }
    }

    #[inline]
    fn add(&mut self, bin: usize, width: usize, sample: &Weighted) {
        self.draws[bin] += u64::from(sample.draws);
        self.weights[bin] += sample.weight;
        self.sums[bin * width + sample.place as usize] += sample.amount;
    }

    fn clear(&mut self, bin: usize, width: usize) {
        (self.draws[bin], self.weights[bin]) = (0, 0.0);
        self.sums[bin * width..][..width].fill(0.0);
    }
}

/// A row of the bootstrap with its weight times its draws.
#[derive(Clone, Copy)]
pub(super) struct Weighted {
    row: u32,
    draws: u32,
    /// The class, or 0.
    place: u32,
    weight: f64,
    /// What is added there: the weight, or the weighted value.
    amount: f64,
}

impl Moments<'_> {
    fn is_regression(&self) -> bool {
        self.training.task == Task::Regression
    }
}

impl<'a> Statistic<'a> for Moments<'a> {
    type Sample = Weighted;

    fn new(training: &'a Training<'a>) -> Self {
        let width = training.task.n_outputs();
        Self {
            training,
            center: if training.task == Task::Regression { training.mean() } else { 0.0 },
            width,
            leading: 0,
            total: Sums::new(1, width),
            left: Sums::new(1, width),
            bins: Sums::new(256, width),
            range: (0.0, 0.0),
        }
    }

    fn sample(&self, row: usize, draws: u32) -> Weighted {
        let weight = self.training.weight(row) * f64::from(draws);
        let target = self.training.targets[row];
        let (place, amount) =
            if self.is_regression() { (0, weight * (target - self.center)) } else { (target as u32, weight) };
        Weighted { row: row as u32, draws, place, weight, amount }
    }

    #[inline]
    fn row(sample: &Weighted) -> usize {
        sample.row as usize
    }

    fn start_node(&mut self, samples: &[Weighted]) {
        self.total.clear(0, self.width);
        self.range = (f64::INFINITY, f64::NEG_INFINITY);
        for sample in samples {
            self.total.add(0, self.width, sample);
            let target = self.training.targets[sample.row as usize];
            self.range = (self.range.0.min(target), self.range.1.max(target));
        }
        self.leading = leading(&self.total.sums);
    }

    #[inline]
    fn draws(&self) -> u64 {
        self.total.draws[0]
    }

    fn is_pure(&self) -> bool {
        self.range.0 == self.range.1
    }

    fn cover(&self) -> f64 {
        self.total.weights[0]
    }

    fn outputs(&self) -> impl Iterator<Item = f64> {
        // A mean lies among its values; rounding does not carry it out, so that equal values are answered exactly.
        let (low, high) = if self.is_regression() { self.range } else { (0.0, 1.0) };
        self.total.sums.iter().map(move |sum| (self.center + sum / self.total.weights[0]).clamp(low, high))
    }

    #[inline]
    fn add(&mut self, bin: usize, sample: &Weighted) {
        self.bins.add(bin, self.width, sample);
    }

    #[inline]
    fn clear(&mut self, bin: usize) {
        self.bins.clear(bin, self.width);
    }

    fn order(&self, bin: usize) -> f64 {
        self.bins.sums[bin * self.width + self.leading] / self.bins.weights[bin]
    }

    fn start_scan(&mut self) {
        self.left.clear(0, self.width);
    }

    #[inline]
    fn shift(&mut self, bin: usize) {
        self.left.draws[0] += self.bins.draws[bin];
        self.left.weights[0] += self.bins.weights[bin];
        let sums = &self.bins.sums[bin * self.width..][..self.width];
        self.left.sums.iter_mut().zip(sums).for_each(|(left, sum)| *left += sum);
    }

    #[inline]
    fn draws_left(&self) -> u64 {
        self.left.draws[0]
    }

    #[inline]
    fn score(&self) -> f64 {
        let left = self.left.weights[0];
        let right = self.total.weights[0] - left;
        if right <= 0.0 {
            // A side so light that rounding loses it.
            return f64::NEG_INFINITY;
        }
        let side = |(left_sum, total): (&f64, &f64)| {
            let right_sum = total - left_sum;
            left_sum * left_sum / left + right_sum * right_sum / right
        };
        self.left.sums.iter().zip(&self.total.sums).map(side).sum()
    }
}

/// The place of the largest value, the first among equals.
fn leading<T: PartialOrd + Copy>(values: &[T]) -> usize {
    (1..values.len()).fold(0, |best, place| if values[place] > values[best] { place } else { best })
}
