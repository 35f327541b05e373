//! Arrays of numbers as images: what a client sends as floats is stored and decoded as any other image.

use crate::Error;
use crate::image::{MAX_PIXELS, MAX_SIDE};

/// An array of height x width x 3 numbers in 0..=1 as an encoded image (binary PPM), which [`crate::pixels`] reads. Values
/// are rounded to 255ths, so an array made of an 8-bit image gives that image back.
///
/// # Errors
/// When the length does not fit the shape, the image would be too large, or a value is no number in 0..=1.
pub fn encode_floats(values: &[f32], height: usize, width: usize) -> Result<Vec<u8>, Error> {
    let expected = height.saturating_mul(width).saturating_mul(3);
    if values.len() != expected {
        return Err(Error::Shape { height, width, expected, got: values.len() });
    }
    if expected == 0 || height.max(width) > MAX_SIDE as usize || (height * width) as u64 > MAX_PIXELS {
        let narrow = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
        return Err(Error::Size { width: narrow(width), height: narrow(height) });
    }
    if let Some(index) = values.iter().position(|value| !(0.0..=1.0).contains(value)) {
        let (pixel, channel) = (index / 3, index % 3);
        return Err(Error::Value { row: pixel / width, column: pixel % width, channel, value: values[index] });
    }
    let mut encoded = format!("P6\n{width} {height}\n255\n").into_bytes();
    encoded.extend(values.iter().map(|value| (value * 255.0).round() as u8));
    Ok(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels;

    #[test]
    fn an_array_of_an_eight_bit_image_comes_back_to_the_byte() {
        let bytes: Vec<u8> = (0..16 * 16 * 3).map(|i| (i % 256) as u8).collect();
        let values: Vec<f32> = bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect();
        assert_eq!(pixels(&encode_floats(&values, 16, 16).unwrap(), 16).unwrap(), bytes);
    }

    #[test]
    fn a_value_out_of_range_is_named_by_its_place() {
        for wrong in [f32::NAN, -0.1, 1.01, f32::INFINITY] {
            let mut values = vec![0.5; 2 * 3 * 3];
            values[3 * 3 + 3 + 2] = wrong;
            let error = encode_floats(&values, 2, 3).unwrap_err().to_string();
            assert!(error.contains("row 1, column 1, channel 2"), "{error}");
        }
    }

    #[test]
    fn a_wrong_length_is_told_with_the_expected_one() {
        let error = encode_floats(&[0.0; 10], 2, 2).unwrap_err().to_string();
        assert_eq!(error, "2 x 2 x 3 values make 12, got 10");
        assert!(matches!(encode_floats(&[], 0, 7), Err(Error::Size { .. })));
        assert!(encode_floats(&[0.0], usize::MAX, 2).is_err());
    }
}
