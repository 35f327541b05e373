//! Encoded images as pixels. Bytes from outside may be anything: what is wrong with them is an error, and memory is bounded
//! before it is taken.

use std::io::Cursor;

use image::error::{ImageError, LimitErrorKind};
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::{Error, resize};

/// The most pixels an image may have.
pub const MAX_PIXELS: u64 = 64_000_000;
/// The most pixels it may have in one direction.
pub const MAX_SIDE: u32 = 65_535;
/// The most bytes decoding may take: 16 bits for each of four channels of the largest image.
pub const MAX_BYTES: u64 = 512 << 20;

/// A decoded image: upright, without transparency.
pub(crate) struct Decoded {
    pub width: usize,
    pub height: usize,
    /// As Pillow names it, of the file as it is.
    pub mode: &'static str,
    /// Pixels row by row.
    pub rgb: Vec<u8>,
}

/// RGB pixels of an encoded image, squashed (not cropped) to `side` x `side`: turned upright as EXIF says, transparency
/// over white, grey as equal channels. An animation is its first frame.
///
/// # Errors
/// When the bytes are no image, a damaged one, or one of more than 64 megapixels, and for a `side` of 0.
pub fn pixels(encoded: &[u8], side: u16) -> Result<Vec<u8>, Error> {
    if side == 0 {
        return Err(Error::Parameter { name: "side", expected: "1 or more", got: side.to_string() });
    }
    let image = decode(encoded)?;
    Ok(resize::squash(&image.rgb, image.width, image.height, usize::from(side)))
}

pub(crate) fn decode(encoded: &[u8]) -> Result<Decoded, Error> {
    let format = image::guess_format(encoded).map_err(|_| Error::Format)?;
    if format == ImageFormat::Jpeg && !is_complete_jpeg(encoded) {
        return Err(Error::Damaged("its end is missing".to_owned()));
    }
    let mut reader = ImageReader::with_format(Cursor::new(encoded), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(error)?;
    let (width, height) = decoder.dimensions();
    let count = u64::from(width) * u64::from(height);
    if count == 0 || count > MAX_PIXELS || width > MAX_SIDE || height > MAX_SIDE {
        return Err(Error::Size { width, height });
    }
    if decoder.total_bytes() > MAX_BYTES {
        return Err(Error::Memory);
    }
    let mode = mode(encoded, format, decoder.original_color_type());
    // An orientation that cannot be read leaves the image as it lies.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(error)?;
    image.apply_orientation(orientation);
    let (width, height) = (image.width() as usize, image.height() as usize);
    Ok(Decoded { width, height, mode, rgb: opaque(image) })
}

/// Whether the end marker follows the scans: the decoder fills up with grey what is cut off, and says nothing.
fn is_complete_jpeg(encoded: &[u8]) -> bool {
    let mut rest = encoded.get(2..).unwrap_or_default();
    // Segments before the first scan have lengths, so that a thumbnail's end marker is not taken for the image's.
    while let [0xff, marker, high, low, ..] = *rest {
        if marker == 0xda {
            return rest.windows(2).any(|pair| pair == [0xff, 0xd9]);
        }
        let length = 2 + usize::from(u16::from_be_bytes([high, low]));
        // A marker may be preceded by any number of fill bytes.
        rest = rest.get(if marker == 0xff { 1 } else { length }..).unwrap_or_default();
    }
    false
}

/// RGB over white.
fn opaque(image: DynamicImage) -> Vec<u8> {
    if !image.color().has_alpha() {
        return image.into_rgb8().into_raw();
    }
    let rgba = image.into_rgba8().into_raw();
    let over_white = |value: u8, alpha: u8| {
        let sum = u32::from(value) * u32::from(alpha) + 255 * (255 - u32::from(alpha));
        ((sum + 127) / 255) as u8
    };
    rgba.chunks_exact(4).flat_map(|pixel| [0, 1, 2].map(|channel| over_white(pixel[channel], pixel[3]))).collect()
}

fn mode(encoded: &[u8], format: ImageFormat, colour: ExtendedColorType) -> &'static str {
    // The decoder resolves palettes without a word. In a PNG, byte 25 is the colour type of the header.
    let palette = format == ImageFormat::Gif || format == ImageFormat::Png && encoded.get(25) == Some(&3);
    match colour {
        _ if palette => "P",
        ExtendedColorType::L1 => "1",
        ExtendedColorType::L2 | ExtendedColorType::L4 | ExtendedColorType::L8 => "L",
        ExtendedColorType::L16 => "I;16",
        ExtendedColorType::La1 | ExtendedColorType::La2 | ExtendedColorType::La4 => "LA",
        ExtendedColorType::La8 | ExtendedColorType::La16 => "LA",
        ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16 => "CMYK",
        ExtendedColorType::Rgba1 | ExtendedColorType::Rgba2 | ExtendedColorType::Rgba4 => "RGBA",
        ExtendedColorType::Rgba8 | ExtendedColorType::Rgba16 | ExtendedColorType::Rgba32F => "RGBA",
        _ => "RGB",
    }
}

fn error(error: ImageError) -> Error {
    match error {
        ImageError::Limits(limit) if limit.kind() == LimitErrorKind::DimensionError => {
            Error::Damaged(format!("a side is longer than {MAX_SIDE} pixels"))
        }
        ImageError::Limits(_) => Error::Memory,
        other => Error::Damaged(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
