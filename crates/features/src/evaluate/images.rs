//! What is told of images: each is decoded once for all functions of a batch.

use std::ops::Range;

use driftmill_vision::Statistics;

use crate::code::ImageStatistic;
use crate::columns::Columns;
use crate::scratch::Decoded;

impl ImageStatistic {
    /// Its value for one image.
    pub(super) fn of(self, image: &Statistics) -> f64 {
        match self {
            Self::Width => f64::from(image.width),
            Self::Height => f64::from(image.height),
            Self::AspectRatio => image.aspect_ratio,
            Self::Mean(channel) => image.colours.mean[usize::from(channel)],
            Self::Std(channel) => image.colours.std[usize::from(channel)],
            Self::Contrast => image.colours.contrast,
            Self::Sharpness => image.colours.sharpness,
            Self::UsefulSurface => image.colours.useful_surface,
        }
    }
}

/// The statistics of the images in `rows` of a field; none of a missing image or of one that cannot be decoded.
pub(super) fn statistics<'s>(
    decoded: &'s mut Vec<Decoded>,
    columns: &Columns,
    field: u32,
    rows: Range<usize>,
) -> &'s [Option<Statistics>] {
    let place = match decoded.iter().position(|decoded| decoded.field == field) {
        Some(place) => place,
        None => {
            let image = |bytes: &Option<std::sync::Arc<[u8]>>| driftmill_vision::statistics(bytes.as_deref()?).ok();
            let images = columns.encoded(field as usize)[rows].iter().map(image).collect();
            decoded.push(Decoded { field, images });
            decoded.len() - 1
        }
    };
    &decoded[place].images
}
