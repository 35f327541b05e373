//! Finds the split of a leaf that lowers the loss most.

use std::ops::Range;

use super::histogram::{Histograms, Sums};
use super::params::GradientBoostingValidParams;
use crate::binning::{BinnedMatrix, FeatureBins};
use crate::category::Set;
use crate::cut::Cut;

#[derive(Clone, Copy)]
pub(super) struct Split {
    pub gain: f64,
    pub feature: usize,
    pub cut: Cut,
    pub missing_left: bool,
    /// Sums of the left side.
    pub left: Sums,
}

/// Between which two values a leaf's step must lie so that trees with monotonic constraints keep them.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub low: f64,
    pub high: f64,
}

impl Bounds {
    pub const NONE: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY };
}

pub(super) struct Splitter<'a> {
    params: &'a GradientBoostingValidParams,
    binned: &'a BinnedMatrix,
    constrained: bool,
}

impl<'a> Splitter<'a> {
    pub fn new(params: &'a GradientBoostingValidParams, binned: &'a BinnedMatrix) -> Self {
        let constrained = params.monotonic_cst.iter().any(|constraint| *constraint != 0);
        Self { params, binned, constrained }
    }

    /// What a leaf with these sums adds to the score, before the learning rate: the Newton step, within its bounds.
    pub fn step(&self, sums: &Sums, bounds: Bounds) -> f64 {
        let denominator = sums.second + self.params.l2_regularization;
        let step = if denominator > 0.0 { -sums.first / denominator } else { 0.0 };
        if self.constrained { step.clamp(bounds.low, bounds.high) } else { step }
    }

    /// The bounds of the two sides of a split. On a constrained feature the middle of their steps parts them, so that
    /// nothing grown below can cross it (the basic method of LightGBM, and XGBoost's).
    pub fn child_bounds(&self, split: &Split, right: &Sums, bounds: Bounds) -> (Bounds, Bounds) {
        let middle = (self.step(&split.left, bounds) + self.step(right, bounds)) / 2.0;
        match self.constraint(split.feature) {
            0 => (bounds, bounds),
            1.. => (Bounds { high: middle, ..bounds }, Bounds { low: middle, ..bounds }),
            ..0 => (Bounds { low: middle, ..bounds }, Bounds { high: middle, ..bounds }),
        }
    }

    fn constraint(&self, feature: usize) -> i8 {
        self.params.monotonic_cst.get(feature).copied().unwrap_or(0)
    }

    /// The best split of a leaf by some features, whose bins these are, if any gains. Which one that is depends on nothing
    /// but their sums; among equal ones the first feature's and lowest.
    pub fn best(
        &self,
        histograms: &Histograms<'_>,
        features: &Range<usize>,
        bins: &[Sums],
        sums: &Sums,
        bounds: Bounds,
    ) -> Option<Split> {
        if self.constrained {
            self.best_of::<true>(histograms, features, bins, sums, bounds)
        } else {
            self.best_of::<false>(histograms, features, bins, sums, bounds)
        }
    }

    fn best_of<const CONSTRAINED: bool>(
        &self,
        histograms: &Histograms<'_>,
        features: &Range<usize>,
        bins: &[Sums],
        sums: &Sums,
        bounds: Bounds,
    ) -> Option<Split> {
        let unsplit = self.score::<CONSTRAINED>(sums, bounds);
        let sums = *sums;
        let mut search = Search::<CONSTRAINED> {
            splitter: self,
            sums,
            bounds,
            unsplit,
            to_beat: 0.0,
            too_low: 0.0,
            constraint: 0,
            min_count: self.params.min_samples_leaf as u64,
            min_second: self.params.min_child_weight,
            l2: self.params.l2_regularization,
            best: None,
        };
        // A gain within rounding of nothing is none.
        search.raise(1e-12 * unsplit.max(1e-12));
        let first = features.start;
        for feature in features.clone() {
            let edges = &self.binned.features()[feature];
            let bins = histograms.of_feature(bins, first, feature);
            search.constraint = self.constraint(feature);
            let has_missing = bins[bins.len() - 1].count > 0;
            if edges.is_categorical() {
                search.scan_categories(feature, bins, false);
            } else {
                search.scan(feature, edges, bins, false);
            }
            if has_missing && edges.is_categorical() {
                search.scan_categories(feature, bins, true);
            } else if has_missing {
                search.scan(feature, edges, bins, true);
            }
        }
        search.best
    }

    /// Twice the loss a leaf with these sums takes away: of the Newton step G² / (H + λ), of any step s -(2 G s + (H + λ) s²).
    fn score<const CONSTRAINED: bool>(&self, sums: &Sums, bounds: Bounds) -> f64 {
        let denominator = sums.second + self.params.l2_regularization;
        if CONSTRAINED {
            let step = self.step(sums, bounds);
            return -(2.0 * sums.first * step + denominator * step * step);
        }
        if denominator > 0.0 { sums.first * sums.first / denominator } else { 0.0 }
    }
}

/// The search in one leaf.
struct Search<'a, const CONSTRAINED: bool> {
    splitter: &'a Splitter<'a>,
    sums: Sums,
    bounds: Bounds,
    unsplit: f64,
    /// The gain of the best split so far.
    to_beat: f64,
    /// What both sides' scores are together at least, or their split gains less than that.
    too_low: f64,
    /// Of the feature being looked at.
    constraint: i8,
    min_count: u64,
    min_second: f64,
    l2: f64,
    best: Option<Split>,
}

impl<const CONSTRAINED: bool> Search<'_, CONSTRAINED> {
    /// Moves bin after bin to the left side and scores each border. Those at bins that do not occur in the leaf are scored as
    /// well: they gain what the one before them does, and to tell them apart would take longer.
    fn scan(&mut self, feature: usize, edges: &FeatureBins, bins: &[Sums], missing_left: bool) {
        let (missing, bins) = (&bins[bins.len() - 1], &bins[..bins.len() - 1]);
        let occurs = |sums: &Sums| sums.count > 0;
        let Some(first) = bins.iter().position(occurs) else { return };
        let mut left = if missing_left { *missing } else { Sums::default() };
        let mut found = None;
        for (bin, sums) in (first..).zip(&bins[first..]) {
            left.add(sums);
            // From bin to bin, the left side only grows and the right one only shrinks.
            if !self.large_enough(&left) {
                continue;
            }
            let right = self.sums.minus(&left);
            if !self.large_enough(&right) {
                break;
            }
            if let Some(gain) = self.better(&left, &right) {
                self.raise(gain);
                found = Some((gain, bin, left));
            }
        }
        let Some((gain, bin, left)) = found else { return };
        // With no further value, the missing ones are alone to the right.
        let next = bins[bin + 1..].iter().position(occurs).map(|after| bin + 1 + after);
        let threshold = next.map_or(f64::INFINITY, |next| edges.threshold(bin, next));
        let missing_left = self.missing_side(&left, missing, missing_left);
        self.best = Some(Split { gain, feature, cut: Cut::After { bin, threshold }, missing_left, left });
    }

    /// The same with the categories in the order of their Newton steps, in which the best subset is a border (Fisher, "On
    /// grouping for maximum homogeneity", JASA 53, 1958), the rare ones pulled to the middle.
    fn scan_categories(&mut self, feature: usize, bins: &[Sums], missing_left: bool) {
        let (missing, bins) = (&bins[bins.len() - 1], &bins[..bins.len() - 1]);
        let splitter = self.splitter;
        let smooth = splitter.params.cat_smooth.max(f64::MIN_POSITIVE);
        let key = |bin: &u8| {
            let Sums { first, second, .. } = bins[usize::from(*bin)];
            first / (second + smooth)
        };
        let mut order: Vec<u8> = (0..bins.len()).filter(|&bin| bins[bin].count > 0).map(|bin| bin as u8).collect();
        order.sort_by(|a, b| key(a).total_cmp(&key(b)));
        let mut left = if missing_left { *missing } else { Sums::default() };
        let mut cut_at = None;
        for (place, &bin) in order.iter().enumerate() {
            left.add(&bins[usize::from(bin)]);
            let last = place + 1 == order.len();
            if (!last || (missing.count > 0 && !missing_left))
                && let right = self.sums.minus(&left)
                && self.large_enough(&left)
                && self.large_enough(&right)
                && let Some(gain) = self.better(&left, &right)
            {
                let missing_left = self.missing_side(&left, missing, missing_left);
                self.raise(gain);
                self.best = Some(Split { gain, feature, cut: Cut::Apart(Set::default()), missing_left, left });
                cut_at = Some(place + 1);
            }
        }
        if let (Some(place), Some(best)) = (cut_at, &mut self.best) {
            let apart = if best.missing_left { &order[place..] } else { &order[..place] };
            best.cut = Cut::Apart(apart.iter().copied().collect());
        }
    }

    /// Whether a side with these sums may be a leaf.
    #[inline]
    fn large_enough(&self, sums: &Sums) -> bool {
        sums.count >= self.min_count && sums.second >= self.min_second
    }

    /// The gain of these sides, if no split so far gains as much.
    #[inline]
    fn better(&self, left: &Sums, right: &Sums) -> Option<f64> {
        if CONSTRAINED && self.constraint != 0 {
            let rise = self.splitter.step(right, self.bounds) - self.splitter.step(left, self.bounds);
            if rise * f64::from(self.constraint) < 0.0 {
                return None;
            }
        }
        if !CONSTRAINED {
            // With everything times both denominators: divisions would be most of the time this takes.
            let of_left = left.second + self.l2;
            let of_right = right.second + self.l2;
            let both = left.first * left.first * of_right + right.first * right.first * of_left;
            if both < self.too_low * (of_left * of_right) {
                return None;
            }
        }
        let score = |sums: &Sums| self.splitter.score::<CONSTRAINED>(sums, self.bounds);
        let gain = score(left) + score(right) - self.unsplit;
        (gain > self.to_beat).then_some(gain)
    }

    /// From here on, a split must gain more than this.
    fn raise(&mut self, gain: f64) {
        self.to_beat = gain;
        // Less by more than what rounding does to it: whether a split is better is not for this product to say.
        self.too_low = (self.unsplit + gain) * (1.0 - 1e-13);
    }

    /// Without missing values here, those of later rows follow the larger side.
    fn missing_side(&self, left: &Sums, missing: &Sums, missing_left: bool) -> bool {
        if missing.count > 0 { missing_left } else { 2 * left.count >= self.sums.count }
    }
}
