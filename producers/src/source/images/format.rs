//! Which format an image has, and whether it is whole: by its first and last bytes, without decoding it.

use std::fmt;
use std::io;

/// How far before the end of a file the end of its image is looked for: cameras append what they like.
const TAIL: usize = 4 << 10;

/// A format of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Png,
    Jpeg,
    Gif,
    Bmp,
    Webp,
    Tiff,
    Avif,
    Heic,
}

impl Format {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpeg",
            Self::Gif => "gif",
            Self::Bmp => "bmp",
            Self::Webp => "webp",
            Self::Tiff => "tiff",
            Self::Avif => "avif",
            Self::Heic => "heic",
        }
    }
}

/// Why a file becomes no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    NoImage,
    CutOff(Format),
    TooLarge {
        bytes: u64,
        limit: u64,
    },
    /// A link out of the folder.
    Elsewhere,
    Dangling,
    NoFile,
    Unreadable(io::ErrorKind),
}

impl Fault {
    /// The kind, for counting.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::NoImage => "NoImage",
            Self::CutOff(_) => "TruncatedImage",
            Self::TooLarge { .. } => "TooLong",
            Self::Elsewhere | Self::Dangling => "ForbiddenLink",
            Self::NoFile | Self::Unreadable(_) => "UnreadableFile",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoImage => {
                f.write_str("is no image: it begins like none of PNG, JPEG, GIF, BMP, WebP, TIFF, AVIF, HEIC")
            }
            Self::CutOff(format) => write!(f, "is cut off: the end of a {} image is missing", format.name()),
            Self::TooLarge { bytes, limit } => {
                write!(f, "{bytes} bytes where `max_bytes` allows {limit}")
            }
            Self::Elsewhere => {
                f.write_str("is a link to a place outside of the source's folder: put the file itself there")
            }
            Self::Dangling => f.write_str("is a link to nothing"),
            Self::NoFile => f.write_str("is no ordinary file"),
            Self::Unreadable(kind) => write!(f, "cannot be read: {kind}"),
        }
    }
}

/// The format of an image; what is wrong with it if it is none, or ends too early.
pub(super) fn of(bytes: &[u8]) -> Result<Format, Fault> {
    let format = begins(bytes).ok_or(Fault::NoImage)?;
    if is_whole(bytes, format) { Ok(format) } else { Err(Fault::CutOff(format)) }
}

fn begins(bytes: &[u8]) -> Option<Format> {
    match bytes {
        [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => Some(Format::Png),
        [0xFF, 0xD8, 0xFF, ..] => Some(Format::Jpeg),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Format::Gif),
        // Two letters alone begin many a text: its sizes are looked at, too.
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some(Format::Bmp),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Format::Webp),
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some(Format::Tiff),
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => match brand.first_chunk::<4>()? {
            b"avif" | b"avis" => Some(Format::Avif),
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"mif1" => Some(Format::Heic),
            _ => None,
        },
        _ => None,
    }
}

fn is_whole(bytes: &[u8], format: Format) -> bool {
    let tail = &bytes[bytes.len().saturating_sub(TAIL)..];
    let ends_with = |mark: &[u8]| tail.windows(mark.len()).any(|window| window == mark);
    match format {
        Format::Png => ends_with(b"IEND\xAE\x42\x60\x82"),
        Format::Jpeg => ends_with(&[0xFF, 0xD9]),
        Format::Gif => tail.iter().rev().find(|byte| **byte != 0) == Some(&0x3B),
        Format::Bmp => little(bytes, 2).is_some_and(|size| size >= 26 && size <= bytes.len()),
        Format::Webp => little(bytes, 4).is_some_and(|size| size.saturating_add(8) <= bytes.len()),
        Format::Tiff => {
            let directory = if bytes[0] == b'I' { little(bytes, 4) } else { big(bytes, 4) };
            directory.is_some_and(|at| at >= 8 && at.saturating_add(2) <= bytes.len())
        }
        Format::Avif | Format::Heic => boxes(bytes),
    }
}

fn four(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn little(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(four(bytes, at)?)).ok()
}

fn big(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(four(bytes, at)?)).ok()
}

/// Whether the boxes of an ISO media file end where it ends, and one of them holds media.
fn boxes(mut rest: &[u8]) -> bool {
    let mut media = false;
    while !rest.is_empty() {
        media |= rest.get(4..8) == Some(b"mdat");
        let size = match big(rest, 0) {
            // To the end of the file, whatever that is.
            Some(0) => return media,
            // The size is one of 64 bits.
            Some(1) => rest.get(8..).and_then(|bytes| bytes.first_chunk()).map(|size| u64::from_be_bytes(*size)),
            Some(size) => Some(size as u64),
            None => None,
        };
        match size.and_then(|size| usize::try_from(size).ok()).filter(|size| *size >= 8).and_then(|s| rest.get(s..)) {
            Some(behind) => rest = behind,
            None => return false,
        }
    }
    media
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest files of each format that count as whole.
    fn samples() -> Vec<(Format, Vec<u8>)> {
        let png = [&b"\x89PNG\r\n\x1a\n"[..], b"....IEND\xAE\x42\x60\x82"].concat();
        let jpeg = b"\xFF\xD8\xFF\xE0....\xFF\xD9".to_vec();
        let gif = b"GIF89a..........\x3B".to_vec();
        let bmp = [&b"BM\x20\0\0\0\0\0\0\0"[..], &[1; 22]].concat();
        let webp = b"RIFF\x08\0\0\0WEBPVP8 ".to_vec();
        let tiff = b"II*\0\x08\0\0\0\x01\0".to_vec();
        let avif = b"\0\0\0\x10ftypavif\0\0\0\0\0\0\0\x0Cmdat....".to_vec();
        let heic = b"\0\0\0\x10ftypheic\0\0\0\0\0\0\0\x0Cmdat....".to_vec();
        vec![
            (Format::Png, png),
            (Format::Jpeg, jpeg),
            (Format::Gif, gif),
            (Format::Bmp, bmp),
            (Format::Webp, webp),
            (Format::Tiff, tiff),
            (Format::Avif, avif),
            (Format::Heic, heic),
        ]
    }

    #[test]
    fn formats_are_told_by_their_content_and_a_missing_end_is_noticed() {
        for (format, bytes) in samples() {
            assert_eq!(of(&bytes), Ok(format));
            assert_eq!(of(&bytes[..bytes.len() - 1]), Err(Fault::CutOff(format)), "{format:?}");
        }
    }

    #[test]
    fn no_bytes_at_all_are_a_panic() {
        for (_, bytes) in samples() {
            for cut in 0..bytes.len() {
                assert!(of(&bytes[..cut]).is_err(), "{bytes:?} cut at {cut}");
            }
        }
        for text in [&b"Hello"[..], b"BMW is a brand", b"", b"MM", b"....ftyp", b"\0\0\0\x01ftypavif\xFF\xFF"] {
            assert!(of(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_follows_the_image_does_no_harm() {
        for (format, mut bytes) in samples().into_iter().take(2) {
            bytes.extend_from_slice(b"appended by a camera");
            assert_eq!(of(&bytes), Ok(format));
        }
    }
}
