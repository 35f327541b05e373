//! Images for features and models: decoded to pixels, summed up by statistics, described by classical features, and
//! classified by a small convolutional network. No input or output: bytes come in, numbers go out.
//!
//! | module | what it holds |
//! |---|---|
//! | [`mod@image`] | encoded bytes to RGB pixels of one size, with bounded memory |
//! | [`mod@statistics`] | what can be said of an image as it came: size, mode, colours, contrast, sharpness |
//! | [`floats`] | arrays of numbers as an encoded image |
//! | [`mod@descriptors`] | colour, gradient and texture features for models of tables |
//! | [`cnn`] | a convolutional network: parameters, training, prediction |
//!
//! Pixels are RGB bytes, row by row from the top. Everything random is drawn from ChaCha8 streams of a given seed, and no
//! result depends on the number of threads. The feature `gpu` adds training on graphics cards.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod cnn;
pub mod descriptors;
pub mod error;
pub mod floats;
pub mod image;
pub mod statistics;

mod parallel;
mod random;
mod resize;
#[cfg(test)]
mod test_data;

pub use cnn::{Cnn, CnnParams, Device, Epoch};
pub use descriptors::{descriptor_count, descriptors};
pub use error::Error;
pub use floats::encode_floats;
pub use image::pixels;
pub use statistics::{Colours, Statistics, colours, statistics};
