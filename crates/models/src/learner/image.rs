//! Classifiers of images: how their parameters are read and how they are fitted.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use driftmill_vision::{CnnParams, Epoch, descriptor_count, descriptors};
use linfa::Dataset;
use ndarray::{Array1, Array2};
use serde_json::{Map, Value, json};

use super::{Observer, Progress, Rows};
use crate::algorithm::params::Params;
use crate::algorithm::{self, Error as SpecError};
use crate::estimator::image::{self as fitted, Separator, images};
use crate::{Algorithm, Error, FeatureKind, Target, parallel, split};

pub(super) const DESCRIPTORS: &str = "image_classifier";
pub(super) const NETWORK: &str = "cnn";

/// What is fitted to the first feature that is an image.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ImageLearner {
    column: usize,
    side: u16,
    method: Method,
}

#[derive(Clone, Debug, PartialEq)]
enum Method {
    /// Colours, gradients and textures, and an algorithm of numbers.
    Descriptors(Box<Algorithm>),
    /// A small network.
    Network(CnnParams),
}

impl ImageLearner {
    /// `image_classifier`: `estimator` names an algorithm of numbers (`logistic_regression`, standardized, if none does), and
    /// `params` are its parameters.
    pub fn of_descriptors(params: &Map<String, Value>, features: &[(String, FeatureKind)]) -> Result<Self, SpecError> {
        Params::new(DESCRIPTORS, &["estimator", "params"], params)?;
        let wrong = |name: &'static str, expected: &'static str, value: &Value| SpecError::Type {
            algorithm: DESCRIPTORS,
            name,
            expected,
            got: value.to_string(),
        };
        let name = match params.get("estimator") {
            None => "logistic_regression",
            Some(Value::String(name)) => name,
            Some(other) => return Err(wrong("estimator", "the name of an algorithm", other)),
        };
        let of_estimator = match params.get("params") {
            None if params.get("estimator").is_none() => defaults(),
            None => Map::new(),
            Some(Value::Object(given)) => given.clone(),
            Some(other) => return Err(wrong("params", "an object", other)),
        };
        let algorithm = Algorithm::from_spec(name, &of_estimator)?;
        if !algorithm.classifies() {
            return Err(wrong("estimator", "an algorithm of classes", &json!(name)));
        }
        let (column, side) = first_image(DESCRIPTORS, features)?;
        Ok(Self { column, side, method: Method::Descriptors(Box::new(algorithm)) })
    }

    /// `cnn`.
    pub fn of_network(params: &Map<String, Value>, features: &[(String, FeatureKind)]) -> Result<Self, SpecError> {
        // The seed is the pipeline's, as with every other algorithm.
        let known: Vec<&'static str> = CnnParams::NAMES.into_iter().filter(|name| *name != "seed").collect();
        if let Some(name) = params.keys().find(|name| !known.contains(&name.as_str())) {
            let nearest = algorithm::params::nearest(name, &known);
            return Err(SpecError::UnknownParameter {
                algorithm: NETWORK,
                name: name.clone(),
                nearest,
                known: &CnnParams::NAMES,
            });
        }
        let out_of_range = |message: String| SpecError::Range { algorithm: NETWORK, source: Error::Image(message) };
        let params: CnnParams =
            serde_json::from_value(Value::Object(params.clone())).map_err(|error| out_of_range(error.to_string()))?;
        params.check().map_err(|error| out_of_range(error.to_string()))?;
        let (column, side) = first_image(NETWORK, features)?;
        Ok(Self { column, side, method: Method::Network(params) })
    }

    pub fn algorithm(&self) -> &'static str {
        match self.method {
            Method::Descriptors(_) => DESCRIPTORS,
            Method::Network(_) => NETWORK,
        }
    }

    /// Rows without an image teach how frequent their classes are, and nothing else.
    pub fn fit(
        &self,
        rows: Rows<'_>,
        seed: u64,
        observe: Option<Observer<'_>>,
    ) -> Result<fitted::ImageClassifier, Error> {
        let Target::Classes { labels, n_classes } = rows.target else {
            return Err(Error::TaskUnsupported { algorithm: self.algorithm(), task: rows.target.task().name() });
        };
        let mut counts = vec![0_usize; *n_classes];
        labels.iter().for_each(|&label| counts[label] += 1);
        let frequencies = counts.iter().map(|count| *count as f64 / labels.len() as f64).collect();
        let all = images(rows.table, self.column)?;
        let seen: Vec<usize> = (0..all.len()).filter(|&row| all[row].is_some()).collect();
        if seen.is_empty() {
            return Err(Error::Image("no row has an image to learn from".to_owned()));
        }
        let pixels: Vec<&[u8]> = seen.iter().filter_map(|&row| all[row].as_deref()).collect();
        let labels: Vec<usize> = seen.iter().map(|&row| labels[row]).collect();
        let side = usize::from(self.side);
        let separator = match &self.method {
            Method::Descriptors(algorithm) => {
                let described = parallel::map(
                    pixels.len(),
                    parallel::threads(None),
                    || (),
                    |(), image| descriptors(pixels[image], side),
                );
                let records = Array2::from_shape_vec((pixels.len(), descriptor_count(side)), described.concat());
                let records = records.map_err(|error| Error::Linfa(error.into()))?;
                let dataset = Dataset::new(records, Array1::from(labels));
                Separator::Descriptors(algorithm.fit(&dataset, *n_classes, seed)?)
            }
            Method::Network(params) => {
                let mut params = params.clone().seed(seed);
                if parallel::threads(None) == 1 {
                    // Others are at work beside this fit.
                    params = params.n_jobs(Some(1));
                }
                let mut observe = observe;
                let mut told = |epoch: &Epoch| match &mut observe {
                    Some(observe) => observe(&progress(epoch, &params)),
                    None => ControlFlow::Continue(()),
                };
                let network = match rows.groups {
                    Some(groups) => {
                        let groups: Vec<usize> = seen.iter().map(|&row| groups[row]).collect();
                        let share = params.held_out_share();
                        let parts = split::stratified_group_train_test(&labels, &groups, share, seed);
                        let held_out = parts.map_err(Error::Split)?.test;
                        params.fit_holding_out(&pixels, side, &labels, *n_classes, &held_out, &mut told)
                    }
                    None => params.fit(&pixels, side, &labels, *n_classes, &mut told),
                };
                Separator::Network(network.map_err(|error| Error::Image(error.to_string()))?)
            }
        };
        Ok(fitted::ImageClassifier::new(self.column, self.side, frequencies, separator))
    }
}

/// What did best on descriptors of photos, by cross-validation: they are many, and images are few.
fn defaults() -> Map<String, Value> {
    Map::from_iter([("C".to_owned(), json!(0.01)), ("standardize".to_owned(), json!(true))])
}

fn first_image(algorithm: &'static str, features: &[(String, FeatureKind)]) -> Result<(usize, u16), SpecError> {
    let found = features.iter().enumerate().find_map(|(column, (_, kind))| match kind {
        FeatureKind::Image { side } => Some((column, *side)),
        _ => None,
    });
    found.ok_or(SpecError::Features { algorithm, needs: "an image" })
}

fn progress(epoch: &Epoch, params: &CnnParams) -> Progress {
    let measured = [
        ("train_loss", Some(epoch.train_loss)),
        ("validation_loss", epoch.validation_loss),
        ("validation_accuracy", epoch.validation_accuracy),
    ];
    let metrics: BTreeMap<&'static str, f64> =
        measured.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let step = "epoch".to_owned();
    Progress { step, number: epoch.number, of: Some(params.max_epochs()), metrics, device: epoch.device.clone() }
}
