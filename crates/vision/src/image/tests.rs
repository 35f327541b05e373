use image::{ColorType, Rgb, RgbImage, Rgba, RgbaImage};

use super::*;
use crate::test_data;

const FORMATS: [ImageFormat; 7] = [
    ImageFormat::Jpeg,
    ImageFormat::Png,
    ImageFormat::Gif,
    ImageFormat::Bmp,
    ImageFormat::WebP,
    ImageFormat::Tiff,
    ImageFormat::Pnm,
];

fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut encoded = Cursor::new(Vec::new());
    image.into().write_to(&mut encoded, format).unwrap();
    encoded.into_inner()
}

fn noise(side: usize) -> RgbImage {
    RgbImage::from_raw(side as u32, side as u32, test_data::noise(side, 5)).unwrap()
}

#[test]
fn every_format_is_decoded() {
    let image = RgbImage::from_pixel(20, 10, Rgb([200, 40, 90]));
    for format in FORMATS {
        let pixels = pixels(&encode(image.clone(), format), 4).unwrap();
        let close = pixels.chunks(3).all(|pixel| pixel.iter().zip([200, 40, 90]).all(|(a, b)| a.abs_diff(b) <= 4));
        assert!(close && pixels.len() == 48, "{format:?}: {pixels:?}");
    }
}

#[test]
fn bytes_that_are_cut_off_or_damaged_are_errors_or_pixels_but_never_a_panic() {
    for format in FORMATS {
        let whole = encode(noise(24), format);
        for length in (0..whole.len()).step_by(7) {
            let _ = pixels(&whole[..length], 8);
        }
        for at in (0..whole.len()).step_by(3) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            let _ = (pixels(&damaged, 8), crate::statistics(&damaged));
        }
        assert!(pixels(&whole[..whole.len() / 2], 8).is_err(), "{format:?}");
    }
}

#[test]
fn an_unknown_format_is_told_with_those_that_are_read() {
    let error = pixels(b"%PDF-1.7", 8).unwrap_err().to_string();
    assert!(error.contains("JPEG, PNG"), "{error}");
    assert!(matches!(pixels(&[], 8), Err(Error::Format)));
}

#[test]
fn an_image_that_claims_too_many_pixels_is_refused_before_they_are_taken() {
    for header in ["P6\n60000 60000\n255\n", "P5\n65535 2000\n255\n"] {
        assert!(matches!(pixels(header.as_bytes(), 8), Err(Error::Size { .. } | Error::Memory)), "{header}");
    }
    let error = pixels(b"P6\n9000 9000\n255\n", 8).unwrap_err().to_string();
    assert_eq!(error, "an image of 9000 x 9000 pixels is not read; the limit is 64 megapixels and 65535 a side");
}

#[test]
fn a_side_of_nothing_is_refused() {
    assert!(pixels(&encode(noise(4), ImageFormat::Png), 0).is_err());
}

#[test]
fn transparency_is_composed_over_white() {
    let rgba = |alpha| encode(RgbaImage::from_pixel(3, 3, Rgba([100, 0, 200, alpha])), ImageFormat::Png);
    assert_eq!(pixels(&rgba(0), 1).unwrap(), [255, 255, 255]);
    assert_eq!(pixels(&rgba(255), 1).unwrap(), [100, 0, 200]);
    assert_eq!(pixels(&rgba(51), 1).unwrap(), [224, 204, 244]);
}

#[test]
fn grey_becomes_equal_channels() {
    let grey = DynamicImage::ImageLuma8(image::GrayImage::from_pixel(3, 5, image::Luma([77])));
    assert_eq!(pixels(&encode(grey, ImageFormat::Png), 2).unwrap(), [77; 12]);
}

#[test]
fn an_image_is_turned_upright_as_exif_says() {
    // Left half black, right half white, and a tag that says: turn by 90 degrees to the right.
    let image = RgbImage::from_fn(16, 16, |x, _| if x < 8 { Rgb([0; 3]) } else { Rgb([255; 3]) });
    let plain = encode(image, ImageFormat::Jpeg);
    let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let mut tagged = plain[..2].to_vec();
    tagged.extend([0xff, 0xe1, 0, exif.len() as u8 + 2]);
    tagged.extend_from_slice(exif);
    tagged.extend_from_slice(&plain[2..]);
    let corner = |encoded: &[u8]| {
        let pixels = pixels(encoded, 2).unwrap();
        [pixels[0], pixels[3], pixels[6]].map(|value| value > 128)
    };
    // Top left, top right, bottom left.
    assert_eq!(corner(&plain), [false, true, false]);
    assert_eq!(corner(&tagged), [false, false, true]);
}

#[test]
fn the_mode_is_the_one_that_pillow_tells() {
    let mode = |encoded: &[u8]| decode(encoded).unwrap().mode;
    let of = |colour: ColorType| {
        let image = match colour {
            ColorType::L8 => DynamicImage::new_luma8(4, 4),
            ColorType::La8 => DynamicImage::new_luma_a8(4, 4),
            ColorType::Rgba8 => DynamicImage::new_rgba8(4, 4),
            ColorType::L16 => DynamicImage::new_luma16(4, 4),
            _ => DynamicImage::new_rgb8(4, 4),
        };
        mode(&encode(image, ImageFormat::Png))
    };
    assert_eq!(
        [ColorType::L8, ColorType::La8, ColorType::Rgb8, ColorType::Rgba8, ColorType::L16].map(of),
        ["L", "LA", "RGB", "RGBA", "I;16"]
    );
    assert_eq!(mode(&encode(noise(4), ImageFormat::Gif)), "P");
    assert_eq!(mode(&encode(noise(4), ImageFormat::Jpeg)), "RGB");
}
