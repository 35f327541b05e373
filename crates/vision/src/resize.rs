//! Images brought to another size by a triangle filter as wide as the reduction, so that every pixel counts.

/// `side` x `side` pixels of `width` x `height` RGB pixels. Memory beyond the result does not grow with the height.
pub(crate) fn squash(rgb: &[u8], width: usize, height: usize, side: usize) -> Vec<u8> {
    let columns = Filter::new(width, side);
    let rows = Filter::new(height, side);
    let mut sums = vec![0.0_f32; side * side * 3];
    let mut narrow = vec![0.0_f32; side * 3];
    // Which output rows a row of the input counts for: those between two ends that only ever move down.
    let (mut first, mut end) = (0, 0);
    for (y, row) in rgb.chunks_exact(width * 3).enumerate() {
        while end < side && rows.windows[end].start <= y {
            end += 1;
        }
        while first < end && rows.windows[first].end <= y {
            first += 1;
        }
        columns.apply(row, &mut narrow);
        for out in first..end {
            let weight = rows.weight(out, y);
            let sums = &mut sums[out * side * 3..][..side * 3];
            sums.iter_mut().zip(&narrow).for_each(|(sum, value)| *sum += weight * value);
        }
    }
    sums.into_iter().map(|sum| sum.round().clamp(0.0, 255.0) as u8).collect()
}

/// One output pixel's share of the input.
struct Window {
    start: usize,
    end: usize,
    /// Where its weights begin.
    offset: usize,
}

struct Filter {
    windows: Vec<Window>,
    weights: Vec<f32>,
}

impl Filter {
    fn new(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        let reach = scale.max(1.0);
        let mut weights = Vec::new();
        let windows = (0..to).map(|out| {
            let centre = (out as f64 + 0.5) * scale;
            let start = (centre - reach).floor().max(0.0) as usize;
            let end = ((centre + reach).ceil() as usize).min(from);
            let offset = weights.len();
            let triangle = |x: usize| (1.0 - ((x as f64 + 0.5 - centre) / reach).abs()).max(0.0);
            let total: f64 = (start..end).map(triangle).sum();
            weights.extend((start..end).map(|x| (triangle(x) / total) as f32));
            Window { start, end, offset }
        });
        Self { windows: windows.collect(), weights }
    }

    fn weight(&self, out: usize, position: usize) -> f32 {
        let window = &self.windows[out];
        self.weights[window.offset + position - window.start]
    }

    fn apply(&self, row: &[u8], out: &mut [f32]) {
        for (window, out) in self.windows.iter().zip(out.chunks_exact_mut(3)) {
            let mut sums = [0.0_f32; 3];
            let pixels = row[window.start * 3..window.end * 3].chunks_exact(3);
            for (pixel, weight) in pixels.zip(&self.weights[window.offset..]) {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += weight * f32::from(*value);
                }
            }
            out.copy_from_slice(&sums);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_the_asked_size_stays_as_it_is() {
        let rgb: Vec<u8> = (0..4 * 4 * 3).map(|i| (i * 5) as u8).collect();
        assert_eq!(squash(&rgb, 4, 4, 4), rgb);
    }

    #[test]
    fn one_colour_stays_that_colour_whatever_the_sizes() {
        for (width, height, side) in [(1, 1, 5), (7, 3, 4), (100, 1, 3), (1, 100, 9), (33, 57, 16)] {
            let rgb = [10, 200, 255].repeat(width * height);
            assert_eq!(squash(&rgb, width, height, side), [10, 200, 255].repeat(side * side));
        }
    }

    #[test]
    fn reducing_takes_every_pixel_into_account() {
        // A checkerboard of single pixels becomes grey, where picking pixels would give black or white.
        let rgb: Vec<u8> = (0..64 * 64).flat_map(|i| [if (i / 64 + i % 64) % 2 == 0 { 0 } else { 255 }; 3]).collect();
        assert!(squash(&rgb, 64, 64, 8).iter().all(|value| (120..=135).contains(value)));
    }
}
