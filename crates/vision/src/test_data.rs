//! Small images made for the tests.

use crate::random;

/// Pixels of random colours.
pub(crate) fn noise(side: usize, seed: u64) -> Vec<u8> {
    let mut rng = random::stream(seed, 0);
    (0..side * side * 3).map(|_| (random::unit(&mut rng) * 256.0) as u8).collect()
}

/// Images of two classes: a bright disc, or a bright ring, anywhere on noise.
pub(crate) fn discs_and_rings(count: usize, side: usize, seed: u64) -> (Vec<Vec<u8>>, Vec<usize>) {
    let images = (0..count).map(|index| {
        let mut rng = random::stream(seed, index as u64);
        let size = side as f32;
        let radius = size * (0.2 + 0.1 * random::unit(&mut rng));
        let centre = [0, 1].map(|_| size / 2.0 + random::within(&mut rng, size / 2.0 - radius));
        let pixels = (0..side * side).flat_map(|i| {
            let distance = ((i % side) as f32 - centre[0]).hypot((i / side) as f32 - centre[1]);
            let inner = if index % 2 == 0 { 0.0 } else { radius - 2.0 };
            let bright = if (inner..radius).contains(&distance) { 150.0 } else { 0.0 };
            [0, 1, 2].map(|_| (bright + 100.0 * random::unit(&mut rng)) as u8)
        });
        pixels.collect()
    });
    (images.collect(), (0..count).map(|index| index % 2).collect())
}
