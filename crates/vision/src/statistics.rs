//! What can be said of an image as it came, before it is squashed: for the feature store, for drift and for data checks.

use crate::Error;
use crate::image::decode;

/// Above this brightness in every channel a pixel is taken for background.
const NEAR_WHITE: u8 = 245;

/// Statistics of an image in its original size, upright and over white. Brightness is 0 to 255.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// Pillow's name of the file's colours: `RGB`, `RGBA`, `L`, `LA`, `P`, `CMYK`, `1`, `I;16`.
    pub mode: &'static str,
    /// Width divided by height.
    pub aspect_ratio: f64,
    /// What its pixels tell.
    pub colours: Colours,
}

impl Statistics {
    /// Names of the numeric statistics, in the order of [`Self::values`].
    pub const NAMES: [&'static str; 12] = [
        "width",
        "height",
        "aspect_ratio",
        "mean_red",
        "mean_green",
        "mean_blue",
        "std_red",
        "std_green",
        "std_blue",
        "contrast",
        "sharpness",
        "useful_surface",
    ];

    /// The numeric statistics, in the order of [`Self::NAMES`].
    pub fn values(&self) -> [f64; 12] {
        let mut values = [0.0; 12];
        values[..3].copy_from_slice(&[f64::from(self.width), f64::from(self.height), self.aspect_ratio]);
        values[3..].copy_from_slice(&self.colours.values());
        values
    }
}

/// Statistics of an encoded image.
///
/// # Errors
/// As [`crate::pixels`].
pub fn statistics(encoded: &[u8]) -> Result<Statistics, Error> {
    let image = decode(encoded)?;
    let (width, height) = (image.width, image.height);
    Ok(Statistics {
        // Within `MAX_SIDE`.
        width: width as u32,
        height: height as u32,
        mode: image.mode,
        aspect_ratio: width as f64 / height as f64,
        colours: colours(&image.rgb, width),
    })
}

/// What of an image's [`Statistics`] its pixels tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Colours {
    /// Mean of red, green and blue.
    pub mean: [f64; 3],
    /// Standard deviation of red, green and blue.
    pub std: [f64; 3],
    /// Standard deviation of the luma.
    pub contrast: f64,
    /// Variance of the luma's Laplacian: low when the image is blurred.
    pub sharpness: f64,
    /// Share of the pixels that are no near-white background.
    pub useful_surface: f64,
}

impl Colours {
    /// Names of the statistics, in the order of [`Self::values`].
    pub const NAMES: [&'static str; 9] = [
        "mean_red",
        "mean_green",
        "mean_blue",
        "std_red",
        "std_green",
        "std_blue",
        "contrast",
        "sharpness",
        "useful_surface",
    ];

    /// The statistics, in the order of [`Self::NAMES`].
    pub fn values(&self) -> [f64; 9] {
        let ([red, green, blue], [std_red, std_green, std_blue]) = (self.mean, self.std);
        [red, green, blue, std_red, std_green, std_blue, self.contrast, self.sharpness, self.useful_surface]
    }
}

/// Statistics of RGB pixels, row by row from the top left, `width` of them in a row. Of no pixel at all they are NaN.
pub fn colours(rgb: &[u8], width: usize) -> Colours {
    let width = width.max(1);
    let height = rgb.len() / (width * 3);
    let mut colours = [Moments::default(); 3];
    let (mut luma, mut laplacian) = (Moments::default(), Moments::default());
    let mut useful = 0_u64;
    // Three rows of luma around the one whose Laplacian is due; beyond the border the image is mirrored, as OpenCV does.
    let line = |y: usize| -> Vec<i32> {
        let row = rgb.get(y * width * 3..(y + 1) * width * 3).unwrap_or_default();
        row.chunks_exact(3).map(luma_of).collect()
    };
    let mirrored = |index: usize, step: isize, length: usize| match index.checked_add_signed(step) {
        Some(inside) if inside < length => inside,
        _ => index.checked_add_signed(-step).filter(|inside| *inside < length).unwrap_or(index),
    };
    let mut rows = [line(mirrored(0, -1, height)), line(0), line(mirrored(0, 1, height))];
    for y in 0..height {
        for pixel in rgb[y * width * 3..][..width * 3].chunks_exact(3) {
            colours.iter_mut().zip(pixel).for_each(|(moments, value)| moments.add(f64::from(*value)));
            useful += u64::from(pixel.iter().any(|value| *value <= NEAR_WHITE));
        }
        let [above, here, below] = &rows;
        for x in 0..width {
            let sides = here[mirrored(x, -1, width)] + here[mirrored(x, 1, width)];
            laplacian.add(f64::from(above[x] + below[x] + sides - 4 * here[x]) / LUMA_SCALE);
            luma.add(f64::from(here[x]) / LUMA_SCALE);
        }
        if y + 1 < height {
            rows.rotate_left(1);
            rows[2] = line(mirrored(y + 1, 1, height));
        }
    }
    Colours {
        mean: colours.map(|moments| moments.mean()),
        std: colours.map(|moments| moments.variance().sqrt()),
        contrast: luma.variance().sqrt(),
        sharpness: laplacian.variance(),
        useful_surface: useful as f64 / (width * height) as f64,
    }
}

const LUMA_SCALE: f64 = 1000.0;

/// Luma of ITU-R BT.601 in thousandths, which are whole: their sums are exact.
fn luma_of(pixel: &[u8]) -> i32 {
    299 * i32::from(pixel[0]) + 587 * i32::from(pixel[1]) + 114 * i32::from(pixel[2])
}

/// Sums of values of at most a thousand: 64 million squares of them stay exact enough for a variance.
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        self.sum += value;
        self.squares += value * value;
    }

    fn mean(self) -> f64 {
        self.sum / self.count
    }

    fn variance(self) -> f64 {
        (self.squares / self.count - self.mean() * self.mean()).max(0.0)
    }
}

#[cfg(test)]
mod tests;
