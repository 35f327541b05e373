use super::*;
use crate::test_data;

#[test]
fn there_are_as_many_as_told_and_all_are_numbers_whatever_the_side() {
    for side in [1, 2, 3, 5, 16, 63, 64] {
        let values = descriptors(&test_data::noise(side, 1), side);
        assert_eq!(values.len(), descriptor_count(side));
        assert!(values.iter().all(|value| value.is_finite() && value.abs() <= 2.0), "{side}");
    }
}

#[test]
fn pixels_that_are_missing_are_no_panic() {
    assert_eq!(descriptors(&[], 0).len(), descriptor_count(0));
    assert_eq!(descriptors(&[1, 2, 3, 4], 8).len(), descriptor_count(8));
}

#[test]
fn a_yellow_image_is_told_from_a_green_one_by_its_colours() {
    let yellow = descriptors(&[250, 220, 20].repeat(256), 16);
    let green = descriptors(&[40, 160, 40].repeat(256), 16);
    assert!(yellow[0] > green[0] + 0.2, "{} {}", yellow[0], green[0]);
}

#[test]
fn stripes_are_told_by_their_direction() {
    let stripes = |down: bool| -> Vec<u8> {
        (0..32 * 32)
            .flat_map(|i| [if (if down { i / 32 } else { i % 32 }) / 4 % 2 == 0 { 0 } else { 255 }; 3])
            .collect()
    };
    let gradients = |pixels: &[u8]| descriptors(pixels, 32)[colour::COUNT..][..gradients::COUNT].to_vec();
    let (upright, level) = (gradients(&stripes(false)), gradients(&stripes(true)));
    // Direction 0 is a change from left to right.
    assert!(upright[0] > 0.5 && level[0] < 0.1, "{} {}", upright[0], level[0]);
}

#[test]
fn a_texture_is_described_alike_when_it_is_turned() {
    let side = 32;
    let image = test_data::noise(side, 3);
    let turned: Vec<u8> =
        (0..side * side).flat_map(|i| image[((i % side) * side + side - 1 - i / side) * 3..][..3].to_vec()).collect();
    let patterns = |pixels: &[u8]| descriptors(pixels, side)[colour::COUNT + gradients::COUNT..].to_vec();
    let difference = patterns(&image).iter().zip(patterns(&turned)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(difference < 1e-6, "{difference}");
}
