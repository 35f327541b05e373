//! A sum without rounding, so that the order of its terms cannot matter.
//!
//! Adding floats in another order gives another last digit, and windows would not merge to the same bytes. Every float is an
//! integer times a power of 2, so the sum is kept as one long integer, of which only the digits that are not 0 are stored.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const DIGIT_BITS: i32 = 32;

/// The exact sum of floats that are finite and at least 0: digits to the base 2³², by their place; place 0 is the units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExactSum {
    digits: BTreeMap<i16, u32>,
}

impl ExactSum {
    /// Adds a float. What is negative or not finite is no term of such a sum and adds nothing: callers check before.
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() || value <= 0.0 {
            return;
        }
        let bits = value.to_bits();
        let exponent = (bits >> 52) as i32;
        let fraction = bits & ((1 << 52) - 1);
        // Subnormal floats have no leading 1, and the exponent of the smallest others.
        let mantissa = if exponent == 0 { fraction } else { fraction | 1 << 52 };
        let power = exponent.max(1) - 1_075;
        self.add_at(power.div_euclid(DIGIT_BITS) as i16, u128::from(mantissa) << power.rem_euclid(DIGIT_BITS));
    }

    /// Adds another sum; the order of additions and merges changes nothing.
    pub fn merge(&mut self, other: &Self) {
        other.digits.iter().for_each(|(&place, &digit)| self.add_at(place, digit.into()));
    }

    fn add_at(&mut self, mut place: i16, mut amount: u128) {
        while amount > 0 {
            let held = self.digits.get(&place).copied().unwrap_or(0);
            amount += u128::from(held);
            let digit = amount as u32;
            if digit == 0 {
                self.digits.remove(&place);
            } else {
                self.digits.insert(place, digit);
            }
            amount >>= DIGIT_BITS;
            place = place.saturating_add(1);
        }
    }

    /// The sum as a float, correct but for the last digit.
    pub fn value(&self) -> f64 {
        let worth = |(&place, &digit): (&i16, &u32)| {
            // In two steps: the place of the smallest floats is worth less than any float.
            let power = i32::from(place) * DIGIT_BITS;
            f64::from(digit) * 2f64.powi(power / 2) * 2f64.powi(power - power / 2)
        };
        self.digits.iter().map(worth).sum::<f64>().min(f64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Lcg;

    #[test]
    fn the_order_of_terms_and_merges_changes_nothing() {
        let mut random = Lcg::new(4);
        let values: Vec<f64> = (0..500).map(|_| (20.0 * random.normal()).exp()).collect();
        let sum = |values: &mut dyn Iterator<Item = f64>| {
            let mut sum = ExactSum::default();
            values.for_each(|value| sum.add(value));
            sum
        };
        let forward = sum(&mut values.iter().copied());
        assert_eq!(forward, sum(&mut values.iter().rev().copied()));
        let mut merged = sum(&mut values[100..].iter().copied());
        merged.merge(&sum(&mut values[..100].iter().copied()));
        assert_eq!(serde_json::to_string(&merged).unwrap(), serde_json::to_string(&forward).unwrap());
        let back: ExactSum = serde_json::from_str(&serde_json::to_string(&merged).unwrap()).unwrap();
        assert_eq!(back, forward);
    }

    #[test]
    fn nothing_is_lost_beside_a_large_term() {
        let mut sum = ExactSum::default();
        sum.add(1e300);
        (0..8).for_each(|_| sum.add(0.125));
        let mut large = ExactSum::default();
        large.add(1e300);
        assert_ne!(sum, large);
        large.add(1.0);
        assert_eq!(sum, large);
    }

    #[test]
    fn a_sum_reads_back_as_the_float_it_is() {
        for value in [0.1, 5e-324, f64::MAX, 1.0, 0.0, 12_345.678] {
            let mut sum = ExactSum::default();
            sum.add(value);
            assert_eq!(sum.value(), value);
        }
        let mut nothing = ExactSum::default();
        [f64::NAN, f64::INFINITY, -1.0].into_iter().for_each(|value| nothing.add(value));
        assert_eq!(nothing, ExactSum::default());
    }
}
