//! A small convolutional network that classifies images, for some hundreds of images and two cores.
//!
//! ```text
//! pixels -> [3 x 3 convolution, batch norm, ReLU, 2 x 2 maximum] x 4 (the last without) -> mean and maximum per channel
//!        -> one linear layer -> softmax
//! ```
//! Training ([`CnnParams::fit`]) runs on `burn`, on the CPU or on a graphics card ([`Device`]). What it leaves is this module's own: plain numbers, with batch norm folded
//! into the convolutions, and a prediction in plain Rust whose sums have one order, so that an image has the same
//! probabilities alone, in a batch, on any number of threads and on any processor. Validation during training asks the same
//! code.

mod augment;
mod device;
mod fit;
mod gradient;
mod inference;
mod optimiser;
mod params;
#[cfg(test)]
mod tests;
mod weights;

use serde::{Deserialize, Serialize};

pub use self::device::Device;
pub use self::params::CnnParams;
use crate::{Error, parallel};

/// Sides of images that a network can be fitted to.
pub const SIDES: std::ops::RangeInclusive<usize> = 16..=512;

/// The most classes a network may have.
pub const MAX_CLASSES: usize = 10_000;

/// The most values that a layer may write for an image.
const MOST_WRITTEN: usize = 512 * 512 * 64;

/// How a training stands after one pass over its images.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// From 1.
    pub number: usize,
    /// Mean loss of the augmented training images, with label smoothing.
    pub train_loss: f64,
    /// Mean log loss of the images held out; none when none are.
    pub validation_loss: Option<f64>,
    /// Share of the images held out that were classified correctly.
    pub validation_accuracy: Option<f64>,
    /// The graphics card that computed it, as it calls itself; none for the CPU.
    pub device: Option<String>,
}

/// A fitted network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cnn {
    side: usize,
    n_classes: usize,
    /// Whether an image's probabilities are the mean of its own and its mirror image's.
    mirror: bool,
    convolutions: Vec<Convolution>,
    head: Head,
}

/// A 3 x 3 convolution of stride 1 and padding 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Convolution {
    inputs: usize,
    outputs: usize,
    /// `[row][column][input][output]`.
    weights: Vec<f32>,
    bias: Vec<f32>,
}

/// The linear layer on the channels' means, then their maxima.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Head {
    /// `[feature][class]`.
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Cnn {
    /// Side of the images it was fitted to, in pixels.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Number of its classes.
    pub fn classes(&self) -> usize {
        self.n_classes
    }

    /// Writes the probability of each class for an image of `side` x `side` RGB pixels.
    ///
    /// # Errors
    /// When the pixels or the output have another length than the network's.
    pub fn predict_proba_into(&self, pixels: &[u8], out: &mut [f64]) -> Result<(), Error> {
        check_pixels(0, pixels, self.side)?;
        if out.len() != self.n_classes {
            return Err(Error::OutputLength { expected: self.n_classes, got: out.len() });
        }
        inference::predict(self, pixels, out);
        Ok(())
    }

    /// Probabilities of many images, one row of [`Self::classes`] after the other: those of each image alone, to the bit.
    /// Threads: one per core when not given.
    ///
    /// # Errors
    /// When the pixels of an image have another length than the network's; it is named.
    pub fn predict_proba(&self, images: &[&[u8]], n_jobs: Option<usize>) -> Result<Vec<f64>, Error> {
        images.iter().enumerate().try_for_each(|(image, pixels)| check_pixels(image, pixels, self.side))?;
        let rows = parallel::map(images.len(), parallel::threads(n_jobs), |image| {
            let mut row = vec![0.0; self.n_classes];
            inference::predict(self, images[image], &mut row);
            row
        });
        Ok(rows.concat())
    }

    /// Checks that a decoded network can be predicted with.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn validate(&self) -> Result<(), String> {
        if !SIDES.contains(&self.side) || !(2..=MAX_CLASSES).contains(&self.n_classes) {
            return Err(format!("a network of side {} with {} classes is not possible", self.side, self.n_classes));
        }
        if self.convolutions.is_empty() || self.side >> (self.convolutions.len() - 1).min(63) == 0 {
            return Err(format!("{} convolutions do not go with side {}", self.convolutions.len(), self.side));
        }
        let mut channels = 3;
        for (number, layer) in self.convolutions.iter().enumerate() {
            // What a layer writes for one image is bounded, whatever the bytes say.
            let written = (self.side >> number.min(63)).pow(2) * layer.outputs;
            let fits = layer.inputs == channels
                && written <= MOST_WRITTEN
                && (8..=1024).contains(&layer.outputs)
                && layer.outputs % inference::LANES == 0
                && layer.weights.len() == 9 * layer.inputs * layer.outputs
                && layer.bias.len() == layer.outputs;
            if !fits {
                return Err(format!("convolution {} does not fit the one before it", number + 1));
            }
            channels = layer.outputs;
        }
        if self.head.weights.len() != 2 * channels * self.n_classes || self.head.bias.len() != self.n_classes {
            return Err("the last layer does not fit channels and classes".to_owned());
        }
        let layers = self.convolutions.iter().flat_map(|layer| [&layer.weights, &layer.bias]);
        if layers.chain([&self.head.weights, &self.head.bias]).flatten().any(|weight| !weight.is_finite()) {
            return Err("a weight is not a finite number".to_owned());
        }
        Ok(())
    }
}

fn check_pixels(image: usize, pixels: &[u8], side: usize) -> Result<(), Error> {
    let expected = side * side * 3;
    if pixels.len() == expected { Ok(()) } else { Err(Error::Pixels { image, side, expected, got: pixels.len() }) }
}
