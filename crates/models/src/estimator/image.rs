//! Classifiers of images: a model of what describes them, or a network of their pixels.

use std::sync::Arc;

use driftmill_vision::{Cnn, descriptor_count, descriptors};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::Answer;
use crate::predictor::MAX_CLASSES;
use crate::{Column, Error, FeatureKind, Model, Table, Task, parallel};

/// Sides of images that are described.
const SIDES: std::ops::RangeInclusive<u16> = 8..=512;

/// A fitted classifier of images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ImageClassifier {
    /// The feature that is the image.
    column: usize,
    side: u16,
    /// Of every class in training: the answer for a row without an image.
    frequencies: Vec<f64>,
    separator: Separator,
}

/// What tells images apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Separator {
    /// A model of their descriptors.
    Descriptors(Model),
    /// A network of their pixels.
    Network(Cnn),
}

impl ImageClassifier {
    pub fn new(column: usize, side: u16, frequencies: Vec<f64>, separator: Separator) -> Self {
        Self { column, side, frequencies, separator }
    }

    pub fn algorithm(&self) -> &'static str {
        match self.separator {
            Separator::Descriptors(_) => "image_classifier",
            Separator::Network(_) => "cnn",
        }
    }

    pub fn task(&self) -> Task {
        Task::Classification { n_classes: self.frequencies.len() }
    }

    pub fn answer(&self, table: &Table) -> Result<Answer, Error> {
        let images = images(table, self.column)?;
        let n_classes = self.frequencies.len();
        let threads = if images.len() > 1 { parallel::threads(None) } else { 1 };
        let write = |(): &mut (), row: usize| -> Result<Vec<f64>, Error> {
            let Some(pixels) = &images[row] else { return Ok(self.frequencies.clone()) };
            let mut out = vec![0.0; n_classes];
            match &self.separator {
                Separator::Descriptors(model) => {
                    model.predict_proba_into(&descriptors(pixels, usize::from(self.side)), &mut out)?;
                }
                Separator::Network(network) => {
                    network.predict_proba_into(pixels, &mut out).map_err(|error| Error::Image(error.to_string()))?;
                }
            }
            Ok(out)
        };
        let rows: Result<Vec<Vec<f64>>, Error> =
            parallel::map(images.len(), threads, || (), write).into_iter().collect();
        let outputs = Array2::from_shape_vec((images.len(), n_classes), rows?.concat());
        Ok(Answer {
            outputs: outputs.map_err(|error| Error::Linfa(error.into()))?,
            informed: images.iter().map(Option::is_some).collect(),
        })
    }

    pub fn validate(&self, features: &[FeatureKind]) -> Result<(), String> {
        if features.get(self.column) != Some(&FeatureKind::Image { side: self.side }) {
            return Err("the classifier of images takes another feature".to_owned());
        }
        if !SIDES.contains(&self.side) {
            return Err(format!("images of {} pixels a side are out of range", self.side));
        }
        if self.frequencies.is_empty() || self.frequencies.len() > MAX_CLASSES {
            return Err("the number of classes is out of range".to_owned());
        }
        if !self.frequencies.iter().all(|share| (0.0..=1.0).contains(share)) {
            return Err("the frequencies of the classes are no shares".to_owned());
        }
        match &self.separator {
            Separator::Descriptors(model) => {
                model.validate()?;
                let fits = model.n_features() == descriptor_count(usize::from(self.side))
                    && model.classes() == self.frequencies.len();
                if fits { Ok(()) } else { Err("the model of images has other features or classes".to_owned()) }
            }
            Separator::Network(network) => {
                network.validate().map_err(|error| error.to_string())?;
                let fits = network.side() == usize::from(self.side) && network.classes() == self.frequencies.len();
                if fits { Ok(()) } else { Err("the network takes other images or has other classes".to_owned()) }
            }
        }
    }
}

/// The images of a column.
pub(crate) fn images(table: &Table, column: usize) -> Result<&[Option<Arc<[u8]>>], Error> {
    match table.columns().get(column) {
        Some(Column::Image { pixels, .. }) => Ok(pixels),
        _ => Err(Error::Image("the column holds no images".to_owned())),
    }
}
