//! Finds the split of a leaf that lowers the loss most.

use super::histogram::{Histograms, Scale, Sums, Totals};
use super::loss::Gradient;
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
    /// Of the gradients of the tree that is grown.
    scale: Scale,
}

impl<'a> Splitter<'a> {
    pub fn new(params: &'a GradientBoostingValidParams, binned: &'a BinnedMatrix) -> Self {
        let constrained = params.monotonic_cst.iter().any(|constraint| *constraint != 0);
        Self { params, binned, constrained, scale: Scale::new(1, Gradient { first: 1.0, second: 1.0 }) }
    }

    /// Must be told before a tree is grown.
    pub fn set_scale(&mut self, scale: Scale) {
        self.scale = scale;
    }

    /// What a leaf with these sums adds to the score, before the learning rate: the Newton step, within its bounds.
    pub fn step(&self, sums: &Sums, bounds: Bounds) -> f64 {
        self.step_of(&self.scale.totals(sums), bounds)
    }

    fn step_of(&self, sums: &Totals, bounds: Bounds) -> f64 {
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

    /// The best split of a leaf with this histogram and these sums, if any gains.
    pub fn best(&self, histograms: &Histograms<'_>, histogram: &[Sums], sums: &Sums, bounds: Bounds) -> Option<Split> {
        if self.constrained {
            self.best_of::<true>(histograms, histogram, sums, bounds)
        } else {
            self.best_of::<false>(histograms, histogram, sums, bounds)
        }
    }

    fn best_of<const CONSTRAINED: bool>(
        &self,
        histograms: &Histograms<'_>,
        histogram: &[Sums],
        sums: &Sums,
        bounds: Bounds,
    ) -> Option<Split> {
        let unsplit = self.score::<CONSTRAINED>(&self.scale.totals(sums), bounds);
        // A gain within rounding of nothing is none.
        let to_beat = 1e-12 * unsplit.max(1e-12);
        let sums = *sums;
        let mut search =
            Search::<CONSTRAINED> { splitter: self, sums, bounds, unsplit, to_beat, constraint: 0, best: None };
        for (feature, edges) in self.binned.features().iter().enumerate() {
            let bins = &histogram[histograms.range(feature)];
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
    fn score<const CONSTRAINED: bool>(&self, sums: &Totals, bounds: Bounds) -> f64 {
        let denominator = sums.second + self.params.l2_regularization;
        if CONSTRAINED {
            let step = self.step_of(sums, bounds);
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
    /// Of the feature being looked at.
    constraint: i8,
    best: Option<Split>,
}

impl<const CONSTRAINED: bool> Search<'_, CONSTRAINED> {
    /// Moves bin after bin to the left side and scores each border between two that occur in the leaf.
    fn scan(&mut self, feature: usize, edges: &FeatureBins, bins: &[Sums], missing_left: bool) {
        let (missing, bins) = (&bins[bins.len() - 1], &bins[..bins.len() - 1]);
        let mut left = if missing_left { *missing } else { Sums::default() };
        let mut previous = None;
        for (bin, sums) in bins.iter().enumerate().filter(|(_, sums)| sums.count > 0) {
            if let Some(previous) = previous
                && let Some(gain) = self.better(&left)
            {
                let cut = Cut::After { bin: previous, threshold: edges.threshold(previous, bin) };
                let missing_left = self.missing_side(&left, missing, missing_left);
                self.take(Split { gain, feature, cut, missing_left, left });
            }
            left.add(sums);
            previous = Some(bin);
        }
        if let (Some(bin), true, false) = (previous, missing.count > 0, missing_left)
            && let Some(gain) = self.better(&left)
        {
            // Every value to the left, the missing ones alone to the right.
            let cut = Cut::After { bin, threshold: f64::INFINITY };
            self.take(Split { gain, feature, cut, missing_left: false, left });
        }
    }

    /// The same with the categories in the order of their Newton steps, in which the best subset is a border (Fisher, "On
    /// grouping for maximum homogeneity", JASA 53, 1958), the rare ones pulled to the middle.
    fn scan_categories(&mut self, feature: usize, bins: &[Sums], missing_left: bool) {
        let (missing, bins) = (&bins[bins.len() - 1], &bins[..bins.len() - 1]);
        let splitter = self.splitter;
        let smooth = splitter.params.cat_smooth.max(f64::MIN_POSITIVE);
        let key = |bin: &u8| {
            let Totals { first, second } = splitter.scale.totals(&bins[usize::from(*bin)]);
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
                && let Some(gain) = self.better(&left)
            {
                let missing_left = self.missing_side(&left, missing, missing_left);
                self.take(Split { gain, feature, cut: Cut::Apart(Set::default()), missing_left, left });
                cut_at = Some(place + 1);
            }
        }
        if let (Some(place), Some(best)) = (cut_at, &mut self.best) {
            let apart = if best.missing_left { &order[place..] } else { &order[..place] };
            best.cut = Cut::Apart(apart.iter().copied().collect());
        }
    }

    /// The gain of these sums to the left, if both sides are large enough and no split so far gains as much.
    #[inline]
    fn better(&self, left: &Sums) -> Option<f64> {
        let Splitter { params, scale, .. } = self.splitter;
        let right = self.sums.minus(left);
        if left.count.min(right.count) < params.min_samples_leaf as u64 {
            return None;
        }
        let (left, right) = (scale.totals(left), scale.totals(&right));
        if left.second.min(right.second) < params.min_child_weight {
            return None;
        }
        if CONSTRAINED && self.constraint != 0 {
            let rise = self.splitter.step_of(&right, self.bounds) - self.splitter.step_of(&left, self.bounds);
            if rise * f64::from(self.constraint) < 0.0 {
                return None;
            }
        }
        if !CONSTRAINED {
            // The same with everything times both denominators: divisions would be most of the time this takes.
            let of_left = left.second + params.l2_regularization;
            let of_right = right.second + params.l2_regularization;
            let both = left.first * left.first * of_right + right.first * right.first * of_left;
            if both <= (self.unsplit + self.to_beat) * (of_left * of_right) {
                return None;
            }
        }
        let score = |sums: &Totals| self.splitter.score::<CONSTRAINED>(sums, self.bounds);
        let gain = score(&left) + score(&right) - self.unsplit;
        (gain > self.to_beat).then_some(gain)
    }

    fn take(&mut self, split: Split) {
        self.to_beat = split.gain;
        self.best = Some(split);
    }

    /// Without missing values here, those of later rows follow the larger side.
    fn missing_side(&self, left: &Sums, missing: &Sums, missing_left: bool) -> bool {
        if missing.count > 0 { missing_left } else { 2 * left.count >= self.sums.count }
    }
}
