//! The threshold on an input that stands for a comparison after some steps.

/// Where an answer changes as values grow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Change {
    /// True at or below, false above. Infinite where it never changes.
    AtOrBelow(f64),
    /// False at or below, true above.
    Above(f64),
}

/// Where an answer changes between `-limit` and `limit`, to the last bit. It changes once at most.
pub(super) fn change(limit: f64, answer: impl Fn(f64) -> bool) -> Change {
    match (answer(-limit), answer(limit)) {
        (true, true) => Change::AtOrBelow(f64::INFINITY),
        (false, false) => Change::AtOrBelow(f64::NEG_INFINITY),
        (true, false) => Change::AtOrBelow(last(limit, answer)),
        (false, true) => Change::Above(last(limit, |value| !answer(value))),
    }
}

/// The largest value that the answer is true of.
fn last(limit: f64, answer: impl Fn(f64) -> bool) -> f64 {
    let (mut yes, mut no) = (order(-limit), order(limit));
    while no - yes > 1 {
        // Both are far from the ends of their type.
        let middle = yes + (no - yes) / 2;
        if answer(value(middle)) {
            yes = middle;
        } else {
            no = middle;
        }
    }
    value(yes)
}

/// A number that is larger for larger values, and next to that of the next value.
fn order(value: f64) -> i128 {
    let bits = i128::from((value.abs()).to_bits());
    if value.is_sign_negative() { -bits } else { bits }
}

fn value(order: i128) -> f64 {
    let size = f64::from_bits(order.unsigned_abs() as u64);
    if order < 0 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_before_a_change_is_found_to_the_bit() {
        for threshold in [0.1, -0.1, 0.0, 1e300, -5e-324, f64::MAX.next_down()] {
            assert_eq!(change(f64::MAX, |value| value <= threshold), Change::AtOrBelow(threshold));
            assert_eq!(change(f64::MAX, |value| value > threshold), Change::Above(threshold));
        }
        assert_eq!(change(f64::MAX, |value| value < 0.1), Change::AtOrBelow(0.1_f64.next_down()));
        assert_eq!(change(9.0, |_| true), Change::AtOrBelow(f64::INFINITY));
        assert_eq!(change(9.0, |_| false), Change::AtOrBelow(f64::NEG_INFINITY));
    }

    #[test]
    fn a_comparison_of_rounded_values_has_a_threshold_between_two_of_them() {
        let at = 0.1_f32;
        let Change::AtOrBelow(threshold) = change(f64::from(f32::MAX), |value| value as f32 <= at) else { panic!() };
        assert_eq!(threshold as f32, at);
        assert_eq!(threshold.next_up() as f32, at.next_up());
    }
}
