//! Categories as codes 0 to 255, and sets of them.

use serde::{Deserialize, Serialize};

/// The code in a categorical feature's value, or `None` for whatever counts as missing: `NaN`, negative numbers and
/// everything that is no whole number up to 255.
#[inline]
pub(crate) fn code(value: f64) -> Option<u8> {
    // The cast saturates, so only codes come back equal.
    let code = value as u8;
    (f64::from(code) == value).then_some(code)
}

/// A set of small numbers: codes of categories, or the bins that stand for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Set([u64; 4]);

impl Set {
    #[inline]
    pub fn insert(&mut self, item: u8) {
        self.0[usize::from(item >> 6)] |= 1 << (item & 63);
    }

    #[inline]
    pub fn contains(&self, item: u8) -> bool {
        self.0[usize::from(item >> 6)] >> (item & 63) & 1 != 0
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The members, ascending.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = u8> {
        self.0.into_iter().enumerate().flat_map(|(word, bits)| {
            std::iter::successors(Some(bits), |bits| Some(bits & bits.wrapping_sub(1)))
                .take_while(|bits| *bits != 0)
                .map(move |bits| (word * 64) as u8 + bits.trailing_zeros() as u8)
        })
    }
}

impl FromIterator<u8> for Set {
    fn from_iter<I: IntoIterator<Item = u8>>(items: I) -> Self {
        let mut set = Self::default();
        items.into_iter().for_each(|item| set.insert(item));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_numbers_up_to_255_are_codes() {
        assert_eq!([0.0, -0.0, 1.0, 255.0].map(code), [Some(0), Some(0), Some(1), Some(255)]);
        assert_eq!([-1.0, 0.5, 256.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(code), [None; 6]);
    }

    #[test]
    fn a_set_has_what_was_put_into_it() {
        let set: Set = [200, 0, 63, 64, 255, 64].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 200, 255]);
        assert_eq!((set.len(), set.contains(63), set.contains(62)), (5, true, false));
        assert_eq!(Set::default().iter().count(), 0);
    }
}
