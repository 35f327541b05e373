//! Colours: moments and a joint histogram of hue, saturation and value, and where which colour lies.

use super::{GRID, field};

const HUES: usize = 12;
const SATURATIONS: usize = 3;
const VALUES: usize = 3;
const BINS: usize = HUES * SATURATIONS * VALUES;

pub(super) const COUNT: usize = 9 + BINS + GRID * GRID * 3;

pub(super) fn describe(pixels: &[u8], side: usize, out: &mut Vec<f64>) {
    let count = (side * side) as f64;
    let mut sums = [[0.0_f64; 3]; 3];
    let mut histogram = [0_u32; BINS];
    let mut layout = [[0_u64; 3]; GRID * GRID];
    let mut members = [0_u64; GRID * GRID];
    for (index, pixel) in pixels.chunks_exact(3).enumerate() {
        let [hue, saturation, value] = hsv(pixel);
        // The hue is an angle without meaning where there is no colour: its warmth is its cosine times the saturation.
        let warmth = saturation * ((hue - 1.0) * std::f64::consts::FRAC_PI_3).cos();
        for (sums, x) in sums.iter_mut().zip([warmth, saturation, value]) {
            sums.iter_mut().zip([x, x * x, x * x * x]).for_each(|(sum, power)| *sum += power);
        }
        let bin = |x: f64, bins: usize| ((x * bins as f64) as usize).min(bins - 1);
        histogram[(bin(hue / 6.0, HUES) * SATURATIONS + bin(saturation, SATURATIONS)) * VALUES + bin(value, VALUES)] +=
            1;
        let field = field(index % side, index / side, side);
        members[field] += 1;
        layout[field].iter_mut().zip(pixel).for_each(|(sum, value)| *sum += u64::from(*value));
    }
    for [sum, squares, cubes] in sums {
        let (mean, square, cube) = (sum / count, squares / count, cubes / count);
        let deviation = (square - mean * mean).max(0.0).sqrt();
        let third = cube - 3.0 * mean * square + 2.0 * mean * mean * mean;
        out.extend([mean, deviation, third.cbrt()]);
    }
    // The square root lets rare colours count beside those that fill the image.
    out.extend(histogram.map(|pixels| (f64::from(pixels) / count).sqrt()));
    for (sums, members) in layout.iter().zip(members) {
        out.extend(sums.map(|sum| sum as f64 / (members.max(1) as f64 * 255.0)));
    }
}

/// Hue in 0..6 (red 0, yellow 1, green 2), saturation and value in 0..=1.
fn hsv(pixel: &[u8]) -> [f64; 3] {
    let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(f64::from);
    let (high, low) = (red.max(green).max(blue), red.min(green).min(blue));
    let range = high - low;
    if range == 0.0 {
        return [0.0, 0.0, high / 255.0];
    }
    let hue = if high == red {
        ((green - blue) / range).rem_euclid(6.0)
    } else if high == green {
        (blue - red) / range + 2.0
    } else {
        (red - green) / range + 4.0
    };
    [hue, range / high, high / 255.0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hue_goes_round_from_red_over_yellow_and_green() {
        assert_eq!(hsv(&[255, 0, 0]), [0.0, 1.0, 1.0]);
        assert_eq!(hsv(&[255, 255, 0]), [1.0, 1.0, 1.0]);
        assert_eq!(hsv(&[0, 255, 0]), [2.0, 1.0, 1.0]);
        assert_eq!(hsv(&[255, 0, 255]), [5.0, 1.0, 1.0]);
        assert_eq!(hsv(&[51, 51, 51]), [0.0, 0.0, 0.2]);
    }
}
