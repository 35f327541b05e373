//! Seeded randomness whose every draw is defined here, so that no dependency's update changes a model.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// An independent stream of the seed: image 7 is turned by the same angle whoever turns image 6.
pub(crate) fn stream(seed: u64, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index);
    rng
}

/// A uniform number in [0, 1).
pub(crate) fn unit(rng: &mut ChaCha8Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1_u32 << 24) as f32
}

/// A uniform number in [-bound, bound).
pub(crate) fn within(rng: &mut ChaCha8Rng, bound: f32) -> f32 {
    (2.0 * unit(rng) - 1.0) * bound
}

/// Fisher-Yates.
pub(crate) fn shuffle<T>(rng: &mut ChaCha8Rng, items: &mut [T]) {
    for i in (1..items.len()).rev() {
        // 64 bits against at most 2^32 items: the bias is far below what any training could tell.
        items.swap(i, ((u128::from(rng.next_u64()) * (i as u128 + 1)) >> 64) as usize);
    }
}
