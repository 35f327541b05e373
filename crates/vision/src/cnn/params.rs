//! Parameters of the network's training, from a builder or from a pipeline file.

use serde::Deserialize;

use super::Device;
use crate::Error;

/// How much training images are changed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Augmentation {
    pub rotation: f64,
    pub shift: f64,
    pub zoom: f64,
    pub flip: bool,
}

/// Parameters of [`super::Cnn`]. Those that a pipeline file does not give have their defaults; an unknown one is an error,
/// and [`CnnParams::check`] tells which is out of its range.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CnnParams {
    pub(super) epochs: usize,
    pub(super) patience: Option<usize>,
    pub(super) start_from_epoch: usize,
    pub(super) learning_rate: f64,
    pub(super) batch_size: usize,
    pub(super) weight_decay: f64,
    pub(super) label_smoothing: f64,
    pub(super) dropout: f64,
    pub(super) rotation: f64,
    pub(super) shift: f64,
    pub(super) zoom: f64,
    pub(super) flip: bool,
    pub(super) validation_fraction: f64,
    pub(super) seed: u64,
    pub(super) n_jobs: Option<usize>,
    pub(super) device: Device,
}

impl Default for CnnParams {
    fn default() -> Self {
        Self {
            epochs: 50,
            patience: Some(3),
            start_from_epoch: 40,
            learning_rate: 3e-3,
            batch_size: 32,
            weight_decay: 0.02,
            label_smoothing: 0.1,
            dropout: 0.3,
            rotation: 20.0,
            shift: 0.2,
            zoom: 0.2,
            flip: true,
            validation_fraction: 0.1,
            seed: 0,
            n_jobs: None,
            device: Device::Cpu,
        }
    }
}

impl CnnParams {
    /// Names of all parameters.
    pub const NAMES: [&'static str; 16] = [
        "epochs",
        "patience",
        "start_from_epoch",
        "learning_rate",
        "batch_size",
        "weight_decay",
        "label_smoothing",
        "dropout",
        "rotation",
        "shift",
        "zoom",
        "flip",
        "validation_fraction",
        "seed",
        "n_jobs",
        "device",
    ];

    /// Most passes over the images, 1 to 10,000. The learning rate falls to zero over them.
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// Epochs without a better loss on the images held out after which training ends; never early when none.
    pub fn patience(mut self, patience: Option<usize>) -> Self {
        self.patience = patience;
        self
    }

    /// The epoch from which patience counts and the best network is looked for: before, the learning rate is too high for
    /// the loss to tell much.
    pub fn start_from_epoch(mut self, start_from_epoch: usize) -> Self {
        self.start_from_epoch = start_from_epoch;
        self
    }

    /// The highest learning rate, above 0 and up to 1.
    pub fn learning_rate(mut self, learning_rate: f64) -> Self {
        self.learning_rate = learning_rate;
        self
    }

    /// Images per step, 2 to 4,096.
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// How strongly weights are drawn to zero, 0 to 1.
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    /// Share of a label that is spread over all classes, 0 to below 1.
    pub fn label_smoothing(mut self, label_smoothing: f64) -> Self {
        self.label_smoothing = label_smoothing;
        self
    }

    /// Share of the last layer's features that are dropped in training, 0 to below 1.
    pub fn dropout(mut self, dropout: f64) -> Self {
        self.dropout = dropout;
        self
    }

    /// Training images are turned by up to so many degrees, 0 to 180.
    pub fn rotation(mut self, rotation: f64) -> Self {
        self.rotation = rotation;
        self
    }

    /// Training images are shifted by up to this share of their side, 0 to 1.
    pub fn shift(mut self, shift: f64) -> Self {
        self.shift = shift;
        self
    }

    /// Training images are zoomed in or out by up to this share, 0 to 0.9.
    pub fn zoom(mut self, zoom: f64) -> Self {
        self.zoom = zoom;
        self
    }

    /// Whether training images are mirrored left to right; predictions are then the mean of both ways.
    pub fn flip(mut self, flip: bool) -> Self {
        self.flip = flip;
        self
    }

    /// Share of each class that is held out to tell when to stop, 0 to 0.5.
    pub fn validation_fraction(mut self, validation_fraction: f64) -> Self {
        self.validation_fraction = validation_fraction;
        self
    }

    /// What all randomness is drawn from.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Threads; one per core when not given. The model does not depend on it.
    pub fn n_jobs(mut self, n_jobs: Option<usize>) -> Self {
        self.n_jobs = n_jobs;
        self
    }

    /// What computes the gradients. The CPU always gives the same bytes; a graphics card gives nearly the
    /// same network. Whether there is one turns out in training.
    pub fn device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    pub(super) fn augmentation(&self) -> Augmentation {
        Augmentation { rotation: self.rotation, shift: self.shift, zoom: self.zoom, flip: self.flip }
    }

    /// Share of the images that is held out to tell when to stop.
    pub fn held_out_share(&self) -> f64 {
        self.validation_fraction
    }

    /// Most passes over the images.
    pub fn max_epochs(&self) -> usize {
        self.epochs
    }

    /// Checks that every parameter is in its range.
    ///
    /// # Errors
    /// [`Error::Parameter`] with the name of the first that is not.
    pub fn check(&self) -> Result<(), Error> {
        let share = |value: f64| (0.0..1.0).contains(&value);
        let checks = [
            ("epochs", "between 1 and 10000", self.epochs.to_string(), (1..=10_000).contains(&self.epochs)),
            ("patience", "1 or more, or null", format!("{:?}", self.patience), self.patience != Some(0)),
            (
                "learning_rate",
                "above 0 and at most 1",
                self.learning_rate.to_string(),
                self.learning_rate > 0.0 && self.learning_rate <= 1.0,
            ),
            ("batch_size", "between 2 and 4096", self.batch_size.to_string(), (2..=4096).contains(&self.batch_size)),
            (
                "weight_decay",
                "between 0 and 1",
                self.weight_decay.to_string(),
                (0.0..=1.0).contains(&self.weight_decay),
            ),
            (
                "label_smoothing",
                "at least 0 and below 1",
                self.label_smoothing.to_string(),
                share(self.label_smoothing),
            ),
            ("dropout", "at least 0 and below 1", self.dropout.to_string(), share(self.dropout)),
            ("rotation", "between 0 and 180", self.rotation.to_string(), (0.0..=180.0).contains(&self.rotation)),
            ("shift", "between 0 and 1", self.shift.to_string(), (0.0..=1.0).contains(&self.shift)),
            ("zoom", "between 0 and 0.9", self.zoom.to_string(), (0.0..=0.9).contains(&self.zoom)),
            (
                "validation_fraction",
                "between 0 and 0.5",
                self.validation_fraction.to_string(),
                (0.0..=0.5).contains(&self.validation_fraction),
            ),
        ];
        match checks.into_iter().find(|(.., valid)| !valid) {
            Some((name, expected, got, _)) => Err(Error::Parameter { name, expected, got }),
            None => Ok(()),
        }
    }
}
