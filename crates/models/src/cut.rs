//! How a grower cuts a node's rows in two, in terms of a feature's bins.

use crate::binning::FeatureBins;
use crate::category::Set;
use crate::tree::Rule;

/// Which bins go left.
#[derive(Clone, Copy)]
pub(crate) enum Cut {
    /// Bins up to this one go left.
    After { bin: usize, threshold: f64 },
    /// Bins of categories that go the other way than missing values.
    Apart(Set),
}

impl Cut {
    /// The same in terms of the feature's values.
    pub fn rule(&self, feature: &FeatureBins) -> Rule {
        match self {
            Self::After { threshold, .. } => Rule::Threshold(*threshold),
            Self::Apart(bins) => Rule::Categories(bins.iter().map(|bin| feature.code(bin)).collect()),
        }
    }

    /// Whether each bin goes left.
    pub fn sides(&self, feature: &FeatureBins, missing_left: bool) -> [bool; 256] {
        let mut sides = match self {
            &Self::After { bin: last, .. } => std::array::from_fn(|bin| bin <= last),
            Self::Apart(bins) => std::array::from_fn(|bin| bins.contains(bin as u8) != missing_left),
        };
        sides[feature.missing()] = missing_left;
        sides
    }

    /// Moves the items that go left to the front, keeping the order of both sides, and returns where the right side starts.
    /// `bin` is an item's bin of `feature`; `right` is a buffer.
    pub fn partition<T: Copy>(
        &self,
        items: &mut [T],
        feature: &FeatureBins,
        missing_left: bool,
        bin: impl Fn(&T) -> u8,
        right: &mut Vec<T>,
    ) -> usize {
        let missing = feature.missing();
        match self {
            &Self::After { bin: last, .. } => move_left(items, right, |item| {
                let bin = usize::from(bin(item));
                if bin == missing { missing_left } else { bin <= last }
            }),
            Self::Apart(bins) => move_left(items, right, |item| bins.contains(bin(item)) != missing_left),
        }
    }
}

fn move_left<T: Copy>(items: &mut [T], right: &mut Vec<T>, goes_left: impl Fn(&T) -> bool) -> usize {
    right.clear();
    let mut middle = 0;
    for i in 0..items.len() {
        let item = items[i];
        if goes_left(&item) {
            items[middle] = item;
            middle += 1;
        } else {
            right.push(item);
        }
    }
    items[middle..].copy_from_slice(right);
    middle
}
