//! Seeded randomness whose every draw is defined here, so that no dependency's update changes a split or a model.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// An independent stream of the seed: tree 7 draws the same numbers whoever grows tree 6.
pub(crate) fn stream(seed: u64, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index);
    rng
}

/// A uniform number of `0..bound`, without bias. A `bound` of zero gives zero.
///
/// Lemire, "Fast random integer generation in an interval", ACM TOMACS 29 (2019).
pub(crate) fn below(rng: &mut ChaCha8Rng, bound: u32) -> u32 {
    let mut product = u64::from(rng.next_u32()) * u64::from(bound);
    if (product as u32) < bound {
        let threshold = bound.wrapping_neg() % bound;
        while (product as u32) < threshold {
            product = u64::from(rng.next_u32()) * u64::from(bound);
        }
    }
    (product >> 32) as u32
}

/// Fisher-Yates. Slices are at most `u32::MAX` long, which callers check.
pub(crate) fn shuffle<T>(rng: &mut ChaCha8Rng, items: &mut [T]) {
    for i in (1..items.len()).rev() {
        items.swap(i, below(rng, i as u32 + 1) as usize);
    }
}

/// `count` distinct numbers of `0..len`, ascending.
pub(crate) fn sample_sorted(rng: &mut ChaCha8Rng, len: u32, count: usize) -> Vec<u32> {
    let mut chosen = Vec::with_capacity(count);
    let mut needed = u64::try_from(count).unwrap_or(u64::MAX);
    // Selection sampling (Knuth 3.4.2, algorithm S): each item is taken with probability needed / left.
    for item in 0..len {
        if needed == 0 {
            break;
        }
        if u64::from(below(rng, len - item)) < needed {
            chosen.push(item);
            needed -= 1;
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_below_the_bound_and_reach_every_value() {
        let mut rng = stream(7, 0);
        let mut seen = [0_u32; 5];
        for _ in 0..1_000 {
            seen[below(&mut rng, 5) as usize] += 1;
        }
        assert!(seen.iter().all(|&count| (140..=260).contains(&count)), "{seen:?}");
        assert_eq!(below(&mut rng, 0), 0);
    }

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let draw = |index| stream(42, index).next_u64();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn a_sample_is_sorted_distinct_and_of_the_asked_size() {
        let sample = sample_sorted(&mut stream(1, 0), 1_000, 100);
        assert_eq!(sample.len(), 100);
        assert!(sample.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(sample_sorted(&mut stream(1, 0), 5, 5), [0, 1, 2, 3, 4]);
        assert_eq!(sample_sorted(&mut stream(1, 0), 5, 9), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        shuffle(&mut stream(3, 0), &mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
