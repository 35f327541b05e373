//! Training images turned, shifted, zoomed and mirrored at random, so that a few hundred are enough.

use rand_chacha::ChaCha8Rng;

use super::inference::normalised;
use super::params::Augmentation;
use crate::random;

/// The image as the network sees it, `[channel][row][column]`, changed as the stream draws. What lies beyond the border
/// mirrors what lies within.
pub(super) fn augmented(pixels: &[u8], side: usize, how: &Augmentation, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let size = side as f32;
    // Every image takes as many draws, so that a parameter changes nothing but its own effect.
    let angle = random::within(rng, how.rotation as f32).to_radians();
    let zoom = [0, 1].map(|_| 1.0 + random::within(rng, how.zoom as f32));
    let shift = [0, 1].map(|_| random::within(rng, how.shift as f32) * size);
    let mirror = random::unit(rng) < 0.5 && how.flip;
    let (sin, cos) = angle.sin_cos();
    let mut out = vec![0.0; 3 * side * side];
    for y in 0..side {
        for x in 0..side {
            let centred = [x, y].map(|place| place as f32 - (size - 1.0) / 2.0);
            let [right, down] = [if mirror { -centred[0] } else { centred[0] }, centred[1]];
            let from =
                [(cos * right - sin * down) / zoom[0] + shift[0], (sin * right + cos * down) / zoom[1] + shift[1]];
            let colour = sample(pixels, side, from.map(|place| place + (size - 1.0) / 2.0));
            for (channel, value) in colour.into_iter().enumerate() {
                out[(channel * side + y) * side + x] = value;
            }
        }
    }
    out
}

/// The colour between four pixels.
fn sample(pixels: &[u8], side: usize, [x, y]: [f32; 2]) -> [f32; 3] {
    let (left, top) = (x.floor(), y.floor());
    let (right_share, lower_share) = (x - left, y - top);
    let at = |x: f32, y: f32| &pixels[(reflect(y, side) * side + reflect(x, side)) * 3..][..3];
    let corners = [at(left, top), at(left + 1.0, top), at(left, top + 1.0), at(left + 1.0, top + 1.0)];
    std::array::from_fn(|channel| {
        let [a, b, c, d] = corners.map(|corner| normalised(corner[channel]));
        let (upper, lower) = (a + (b - a) * right_share, c + (d - c) * right_share);
        upper + (lower - upper) * lower_share
    })
}

/// A place within 0..side, mirrored at the borders as often as needed.
fn reflect(place: f32, side: usize) -> usize {
    let period = 2 * side as i64;
    let within = (place as i64).rem_euclid(period);
    within.min(period - 1 - within) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data;

    const NONE: Augmentation = Augmentation { rotation: 0.0, shift: 0.0, zoom: 0.0, flip: false };

    #[test]
    fn without_augmentation_an_image_stays_as_it_is() {
        let pixels = test_data::noise(16, 1);
        let out = augmented(&pixels, 16, &NONE, &mut random::stream(1, 0));
        for (index, value) in out.iter().enumerate() {
            let (channel, pixel) = (index / 256, index % 256);
            assert!((value - normalised(pixels[pixel * 3 + channel])).abs() < 1e-4);
        }
    }

    #[test]
    fn a_stream_gives_one_image_and_another_stream_another() {
        let pixels = test_data::noise(16, 1);
        let how = Augmentation { rotation: 20.0, shift: 0.2, zoom: 0.2, flip: true };
        let draw = |index| augmented(&pixels, 16, &how, &mut random::stream(1, index));
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }

    #[test]
    fn places_beyond_the_border_are_mirrored() {
        assert_eq!([-2.0, -1.0, 0.0, 3.0, 4.0, 5.0, 9.0].map(|place| reflect(place, 4)), [1, 0, 0, 3, 3, 2, 1]);
    }
}
