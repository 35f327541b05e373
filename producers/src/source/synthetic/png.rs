//! Writes PNG images: true colour, 8 bits a channel, no filters.

use crc32fast::hash;
use miniz_oxide::deflate::compress_to_vec_zlib;

/// How hard it is tried to make the image small: noise hardly gets smaller, whatever is tried.
const LEVEL: u8 = 4;

/// The image of `width` times `height` pixels whose red, green and blue are in `pixels`, row by row.
pub(super) fn encode(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = Vec::with_capacity(13);
    header.extend_from_slice(&width.to_be_bytes());
    header.extend_from_slice(&height.to_be_bytes());
    // Bits a channel, true colour, and the one way there is to compress, to filter and not to interlace.
    header.extend_from_slice(&[8, 2, 0, 0, 0]);
    chunk(b"IHDR", &header, &mut out);
    let row = 3 * width.max(1) as usize;
    let mut rows = Vec::with_capacity(pixels.len() + height as usize);
    for row in pixels.chunks(row) {
        rows.push(0);
        rows.extend_from_slice(row);
    }
    chunk(b"IDAT", &compress_to_vec_zlib(&rows, LEVEL), &mut out);
    chunk(b"IEND", &[], &mut out);
    out
}

fn chunk(kind: &[u8; 4], data: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    let start = out.len();
    out.extend_from_slice(kind);
    out.extend_from_slice(data);
    let sum = hash(&out[start..]);
    out.extend_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chunks_are_where_readers_look_for_them_and_hold_the_pixels() {
        let pixels = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        let image = encode(2, 2, &pixels);
        assert_eq!(image[..16], *b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR");
        assert_eq!(image[16..29], [0, 0, 0, 2, 0, 0, 0, 2, 8, 2, 0, 0, 0]);
        assert_eq!(image[image.len() - 12..], *b"\0\0\0\0IEND\xAE\x42\x60\x82");
        let length = u32::from_be_bytes(*image[33..].first_chunk().unwrap()) as usize;
        let rows = miniz_oxide::inflate::decompress_to_vec_zlib(&image[41..41 + length]).unwrap();
        assert_eq!(rows, [0, 1, 2, 3, 4, 5, 6, 0, 7, 8, 9, 10, 11, 12]);
        assert_eq!(image[41 + length..][..4], hash(&image[37..41 + length]).to_be_bytes());
    }
}
