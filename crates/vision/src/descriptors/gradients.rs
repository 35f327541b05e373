//! Histogram of oriented gradients (Dalal and Triggs, CVPR 2005) over a coarse grid, so that a flower's place matters little.

use super::{GRID, field};

const DIRECTIONS: usize = 9;
const FIELDS: usize = GRID * GRID;

pub(super) const COUNT: usize = FIELDS * DIRECTIONS;

/// No direction has more of a field's share, so that one strong edge does not hide the others.
const CLIP: f64 = 0.4;

pub(super) fn describe(luma: &[f32], side: usize, out: &mut Vec<f64>) {
    let mut histograms = [[0.0_f64; DIRECTIONS]; FIELDS];
    for y in 0..side {
        for x in 0..side {
            let at = |x: usize, y: usize| f64::from(luma[y.min(side - 1) * side + x.min(side - 1)]);
            let right = at(x + 1, y) - at(x.saturating_sub(1), y);
            let down = at(x, y + 1) - at(x, y.saturating_sub(1));
            // A direction without a sign: from 0 to just below 9.
            let angle = down.atan2(right).rem_euclid(std::f64::consts::PI) / std::f64::consts::PI * DIRECTIONS as f64;
            let (bin, share) = (angle as usize, angle.fract());
            let (size, field) = (right.hypot(down), field(x, y, side));
            histograms[field][bin % DIRECTIONS] += size * (1.0 - share);
            histograms[field][(bin + 1) % DIRECTIONS] += size * share;
        }
    }
    for histogram in histograms {
        let norm = |values: &[f64; DIRECTIONS]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
        // An even field has no direction, and its noise shall not be made one.
        let length = norm(&histogram) + (side * side / FIELDS) as f64 + 1.0;
        let clipped = histogram.map(|value| (value / length).min(CLIP));
        let length = norm(&clipped) + 0.1;
        out.extend(clipped.map(|value| value / length));
    }
}
