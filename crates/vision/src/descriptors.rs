//! Classical features of an image for a linear model, a forest or boosting: which colours, where, which edges, which texture.
//!
//! | features | what they are |
//! |---|---|
//! | 9 | mean, deviation and skewness of hue's warmth, saturation and value |
//! | 108 | joint histogram of hue (12), saturation (3) and value (3) |
//! | 48 | mean colour of each field of a 4 x 4 grid |
//! | 144 | histogram of oriented gradients: 9 directions in each field of the grid |
//! | 20 | uniform local binary patterns, blind to rotation, at full and half size |
//!
//! Their number does not depend on the size of the image, and none of them is random.

mod colour;
mod gradients;
mod patterns;

/// Fields of the grid in one direction.
const GRID: usize = 4;
const COUNT: usize = colour::COUNT + gradients::COUNT + 2 * patterns::COUNT;

/// Number of [`descriptors`] for images of that side: the same for all.
pub fn descriptor_count(_side: usize) -> usize {
    COUNT
}

/// Features of `side` x `side` RGB pixels. Pixels of another length are described as far as they go, and none as black.
pub fn descriptors(pixels: &[u8], side: usize) -> Vec<f64> {
    let mut out = Vec::with_capacity(COUNT);
    let complete = side * side * 3;
    let mut padded = Vec::new();
    let pixels = match pixels.get(..complete) {
        Some(pixels) if side > 0 => pixels,
        _ => {
            padded.extend_from_slice(pixels);
            padded.resize(side.max(1).pow(2) * 3, 0);
            &padded
        }
    };
    let side = side.max(1);
    let luma: Vec<f32> = pixels
        .chunks_exact(3)
        .map(|pixel| 0.299 * f32::from(pixel[0]) + 0.587 * f32::from(pixel[1]) + 0.114 * f32::from(pixel[2]))
        .collect();
    colour::describe(pixels, side, &mut out);
    gradients::describe(&luma, side, &mut out);
    patterns::describe(&luma, side, &mut out);
    let (half, half_side) = halved(&luma, side);
    patterns::describe(&half, half_side, &mut out);
    out
}

/// Field of the grid that a pixel lies in.
fn field(x: usize, y: usize, side: usize) -> usize {
    (y * GRID / side) * GRID + x * GRID / side
}

/// Means of 2 x 2 pixels; an image of one pixel stays one.
fn halved(luma: &[f32], side: usize) -> (Vec<f32>, usize) {
    let half = (side / 2).max(1);
    let at = |x: usize, y: usize| luma[y.min(side - 1) * side + x.min(side - 1)];
    let mean = |x: usize, y: usize| (at(x, y) + at(x + 1, y) + at(x, y + 1) + at(x + 1, y + 1)) / 4.0;
    ((0..half * half).map(|i| mean(2 * (i % half), 2 * (i / half))).collect(), half)
}

#[cfg(test)]
mod tests;
