use super::*;
use crate::{encode_floats, pixels};

fn ppm(pixels: &[u8], width: usize) -> Vec<u8> {
    let mut encoded = format!("P6\n{width} {}\n255\n", pixels.len() / 3 / width).into_bytes();
    encoded.extend_from_slice(pixels);
    encoded
}

#[test]
fn an_even_image_has_its_colour_and_nothing_else() {
    let statistics = statistics(&ppm(&[10, 20, 30].repeat(6), 3)).unwrap();
    assert_eq!((statistics.width, statistics.height, statistics.mode), (3, 2, "RGB"));
    assert_eq!(statistics.aspect_ratio, 1.5);
    assert_eq!(statistics.colours.mean, [10.0, 20.0, 30.0]);
    assert_eq!(
        (statistics.colours.std, statistics.colours.sharpness, statistics.colours.useful_surface),
        ([0.0; 3], 0.0, 1.0)
    );
    assert!(statistics.colours.contrast < 1e-6);
}

#[test]
fn contrast_and_sharpness_are_those_of_the_luma() {
    // A row 0 255 0 255: deviation 127.5, Laplacian +510, -510, +510, -510 (mirrored at the ends).
    let statistics = statistics(&ppm(&[[0; 3], [255; 3], [0; 3], [255; 3]].concat(), 4)).unwrap();
    assert!((statistics.colours.contrast - 127.5).abs() < 1e-9);
    assert!((statistics.colours.sharpness - 510.0 * 510.0).abs() < 1e-6);
    assert_eq!(statistics.colours.std, [127.5; 3]);
}

#[test]
fn white_is_no_useful_surface() {
    let statistics = statistics(&ppm(&[[255; 3], [250; 3], [250, 250, 100], [0; 3]].concat(), 2)).unwrap();
    assert_eq!(statistics.colours.useful_surface, 0.5);
}

#[test]
fn a_blurred_image_is_less_sharp() {
    let sharp = crate::test_data::noise(32, 2);
    let blurred =
        pixels(&encode_floats(&sharp.iter().map(|v| f32::from(*v) / 255.0).collect::<Vec<_>>(), 32, 32).unwrap(), 8);
    let sharpness = |pixels: &[u8], width| statistics(&ppm(pixels, width)).unwrap().colours.sharpness;
    assert!(sharpness(&blurred.unwrap(), 8) < sharpness(&sharp, 32) / 4.0);
}

#[test]
fn every_numeric_statistic_has_a_name_and_is_a_number_even_for_one_pixel() {
    let statistics = statistics(&ppm(&[1, 2, 3], 1)).unwrap();
    assert!(statistics.values().iter().all(|value| value.is_finite()));
    assert_eq!(Statistics::NAMES.len(), statistics.values().len());
}
