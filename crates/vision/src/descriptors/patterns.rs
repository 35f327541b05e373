//! Uniform local binary patterns that do not change with rotation (Ojala and others, PAMI 2002): what a texture is made of.

const NEIGHBOURS: [(isize, isize); 8] = [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)];

/// Patterns with 0 to 8 brighter neighbours in one arc, and all others.
pub(super) const COUNT: usize = NEIGHBOURS.len() + 2;

/// Brightness by which a neighbour must stand out, so that noise makes no pattern.
const THRESHOLD: f32 = 3.0;

pub(super) fn describe(luma: &[f32], side: usize, out: &mut Vec<f64>) {
    let mut histogram = [0_u32; COUNT];
    for y in 1..side.saturating_sub(1) {
        for x in 1..side - 1 {
            let centre = luma[y * side + x] + THRESHOLD;
            let mut brighter = 0_u8;
            for (bit, (right, down)) in NEIGHBOURS.iter().enumerate() {
                let neighbour = luma[y.wrapping_add_signed(*down) * side + x.wrapping_add_signed(*right)];
                brighter |= u8::from(neighbour > centre) << bit;
            }
            let changes = (brighter ^ brighter.rotate_left(1)).count_ones();
            let pattern = if changes <= 2 { brighter.count_ones() as usize } else { COUNT - 1 };
            histogram[pattern] += 1;
        }
    }
    let total = f64::from(histogram.iter().sum::<u32>().max(1));
    out.extend(histogram.map(|pixels| f64::from(pixels) / total));
}
