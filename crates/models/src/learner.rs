//! Algorithms with their parameters over typed features, ready to be fitted to a [`Table`]. What a fit learns, codes of
//! categories and vocabularies included, is in the [`Estimator`] that it gives.

pub(crate) mod forecast;
mod fusion;
mod image;
mod tabular;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde_json::{Map, Value};

use self::forecast::Forecasting;
use self::fusion::LateFusion;
use self::image::ImageLearner;
use self::tabular::Tabular;
use self::text::TextClassifier;
use crate::algorithm::{self, Error as SpecError};
use crate::estimator::{self, Answer, Fitted};
use crate::split::TrainTest;
use crate::{Algorithm, Error, Estimator, FeatureKind, Table, Target, Task};

/// Those that take texts, images or series, or other algorithms.
const BEYOND_NUMBERS: [&str; 5] = ["text_classifier", "image_classifier", "cnn", "late_fusion", "forecast"];

/// Names of all algorithms of typed features: those of [`algorithm::NAMES`], and those that take texts, images or series.
pub const NAMES: [&str; algorithm::NAMES.len() + BEYOND_NUMBERS.len()] = {
    let mut all = [""; algorithm::NAMES.len() + BEYOND_NUMBERS.len()];
    let (numbers, beyond) = all.split_at_mut(algorithm::NAMES.len());
    numbers.copy_from_slice(&algorithm::NAMES);
    beyond.copy_from_slice(&BEYOND_NUMBERS);
    all
};

/// What a step of a fit came to: a round of boosting, an epoch, a member of a fusion.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// What a step is: `round`, `epoch`, `fold`, `member`.
    pub step: String,
    /// Steps so far, with this one; for a model that is continued, with those before.
    pub number: usize,
    /// Steps there will be at most, if that is known.
    pub of: Option<usize>,
    /// What was measured, such as `train_loss` and `validation_loss`.
    pub metrics: BTreeMap<&'static str, f64>,
    /// The graphics card that it was computed on, as it calls itself; none for the CPU.
    pub device: Option<String>,
}

/// Is told of every step. On a break no further step follows, and the estimator is what there is.
pub(crate) type Observer<'a> = &'a mut dyn FnMut(&Progress) -> ControlFlow<()>;

/// An algorithm with its parameters, for features of these kinds.
#[derive(Clone, Debug, PartialEq)]
pub struct Learner {
    features: Vec<(String, FeatureKind)>,
    method: Method,
}

#[derive(Clone, Debug, PartialEq)]
enum Method {
    One(Box<Member>),
    Fusion(LateFusion),
}

impl Method {
    fn one(member: Member) -> Self {
        Self::One(Box::new(member))
    }
}

/// A learner that stands alone or in a fusion. Images and forecasts become further ones.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Member {
    /// An algorithm of numbers and categories.
    Tabular(Tabular),
    /// A classifier of texts.
    Text(TextClassifier),
    /// Forecasts of series.
    Forecast(Forecasting),
    /// A classifier of images.
    Image(ImageLearner),
}

/// Rows to learn from.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub table: &'a Table,
    pub target: &'a Target,
    /// Rows of one group are never apart in a split that a fit makes.
    pub groups: Option<&'a [usize]>,
}

impl Rows<'_> {
    /// Whether there is a target, and a group if there are any, for each row.
    pub fn check(&self) -> Result<(), Error> {
        self.target.check(self.table.rows())?;
        match self.groups {
            Some(groups) if groups.len() != self.table.rows() => {
                let (rows, groups) = (self.table.rows(), groups.len());
                Err(Error::Split(crate::split::Error::LengthMismatch { rows, groups }))
            }
            _ => Ok(()),
        }
    }

    /// Fits to a split's training rows and answers its test rows.
    pub fn fit_and_answer(&self, learner: &Learner, split: &TrainTest, seed: u64) -> Result<Answer, Error> {
        let (table, target) = (self.table.select(&split.train), self.target.select(&split.train));
        let groups: Option<Vec<usize>> = self.groups.map(|groups| split.train.iter().map(|&row| groups[row]).collect());
        let train = Rows { table: &table, target: &target, groups: groups.as_deref() };
        learner.fit_rows(train, seed, None)?.answer(&self.table.select(&split.test))
    }
}

impl Learner {
    /// The algorithm of this name with these parameters, for features of these names and kinds.
    ///
    /// # Errors
    /// For an unknown name or parameter, with the nearest known one, for a value of the wrong type or range, and when no
    /// feature is of a kind that the algorithm learns from.
    pub fn from_spec(
        name: &str,
        params: &Map<String, Value>,
        features: &[(String, FeatureKind)],
    ) -> Result<Self, SpecError> {
        let method = match name {
            "late_fusion" => Method::Fusion(LateFusion::from_spec(params, features)?),
            _ => Method::one(Member::from_spec(name, params, features)?),
        };
        Ok(Self { features: features.to_vec(), method })
    }

    /// The baseline of either task: the class frequencies or the mean, whatever the features.
    pub fn constant(features: &[(String, FeatureKind)]) -> Self {
        Self { features: features.to_vec(), method: Method::one(Member::Tabular(Tabular::new(Algorithm::Constant))) }
    }

    /// Its algorithm's name, one of [`NAMES`].
    pub fn algorithm(&self) -> &'static str {
        match &self.method {
            Method::One(member) => member.algorithm(),
            Method::Fusion(_) => "late_fusion",
        }
    }

    /// Whether it learns from series of values and answers with those to come, so that rows are not to be drawn from.
    pub fn forecasts(&self) -> bool {
        self.algorithm() == forecast::NAME
    }

    /// Names and kinds of the features.
    pub fn features(&self) -> &[(String, FeatureKind)] {
        &self.features
    }

    /// Whether it can be fitted to targets of this task.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn supports(&self, task: Task) -> Result<(), String> {
        let classes = matches!(task, Task::Classification { .. });
        let able = match &self.method {
            Method::One(member) if classes => member.classifies(),
            Method::One(member) => member.regresses(),
            Method::Fusion(fusion) => classes && fusion.classifies(),
        };
        match (able, classes) {
            (true, _) => Ok(()),
            (false, false) => Err(format!("`{}` predicts classes, and the label is a number", self.algorithm())),
            (false, true) => match &self.method {
                Method::One(_) => Err(format!("`{}` predicts numbers, and the label has classes", self.algorithm())),
                Method::Fusion(_) => {
                    Err("a member of `late_fusion` predicts numbers, and the label has classes".to_owned())
                }
            },
        }
    }

    /// Fits to the rows of a table, telling of every step. The same rows, targets and seed give the same estimator. On a break
    /// no further step follows, and the estimator is what there is.
    ///
    /// # Errors
    /// For a table of other features, targets that do not fit it or the algorithm, and rows that nothing can be learnt
    /// from.
    pub fn fit(
        &self,
        table: &Table,
        target: &Target,
        seed: u64,
        observe: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<Estimator, Error> {
        self.fit_grouped(table, target, None, seed, observe)
    }

    /// The same for rows of which some belong together, such as those of one product: splits that the fit makes to
    /// calibrate probabilities of texts, to weigh members or to stop boosting and networks early never part a group.
    ///
    /// # Errors
    /// As [`Self::fit`], and for another number of groups than rows.
    pub fn fit_grouped(
        &self,
        table: &Table,
        target: &Target,
        groups: Option<&[usize]>,
        seed: u64,
        observe: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<Estimator, Error> {
        self.fit_rows(Rows { table, target, groups }, seed, Some(observe))
    }

    /// The same, adding its rounds to a fitted estimator instead of beginning anew. Categories keep the codes they have there.
    ///
    /// # Errors
    /// [`Error::Continuation`] unless both are gradient boosting over the same kinds of features.
    pub fn continue_from(self, estimator: &Estimator) -> Result<Self, Error> {
        if !self.kinds().eq(estimator.features().iter().copied()) {
            return Err(Error::Continuation { what: "other features" });
        }
        let other = Error::Continuation { what: "another algorithm, or one without rounds" };
        let (Method::One(member), Fitted::One(estimator::Member::Tabular(fitted))) = (self.method, estimator.fitted())
        else {
            return Err(other);
        };
        let Member::Tabular(tabular) = *member else { return Err(other) };
        let method = Method::one(Member::Tabular(tabular.continue_from(fitted)?));
        Ok(Self { features: self.features, method })
    }

    pub(crate) fn fit_rows(
        &self,
        rows: Rows<'_>,
        seed: u64,
        observe: Option<Observer<'_>>,
    ) -> Result<Estimator, Error> {
        let kinds: Vec<FeatureKind> = self.kinds().collect();
        rows.table.check(&kinds)?;
        rows.check()?;
        if self.supports(rows.target.task()).is_err() {
            return Err(Error::TaskUnsupported { algorithm: self.algorithm(), task: rows.target.task().name() });
        }
        let fitted = match &self.method {
            Method::One(member) => Fitted::One(member.fit(&kinds, rows, seed, observe)?),
            Method::Fusion(fusion) => Fitted::Fusion(fusion.fit(self, &kinds, rows, seed, observe)?),
        };
        Ok(Estimator::new(kinds, fitted))
    }

    fn kinds(&self) -> impl Iterator<Item = FeatureKind> {
        self.features.iter().map(|(_, kind)| *kind)
    }
}

impl Member {
    fn from_spec(
        name: &str,
        params: &Map<String, Value>,
        features: &[(String, FeatureKind)],
    ) -> Result<Self, SpecError> {
        match name {
            image::DESCRIPTORS => ImageLearner::of_descriptors(params, features).map(Self::Image),
            image::NETWORK => ImageLearner::of_network(params, features).map(Self::Image),
            forecast::NAME => Forecasting::from_spec(params, features).map(Self::Forecast),
            "text_classifier" => TextClassifier::from_spec(params, features).map(Self::Text),
            _ if algorithm::NAMES.contains(&name) => Tabular::from_spec(name, params, features).map(Self::Tabular),
            _ => Err(algorithm::unknown(name, &NAMES)),
        }
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Tabular(tabular) => tabular.algorithm(),
            Self::Text(_) => "text_classifier",
            Self::Forecast(_) => forecast::NAME,
            Self::Image(image) => image.algorithm(),
        }
    }

    fn classifies(&self) -> bool {
        match self {
            Self::Tabular(tabular) => tabular.classifies(),
            Self::Text(_) => true,
            Self::Forecast(_) => false,
            Self::Image(_) => true,
        }
    }

    fn regresses(&self) -> bool {
        match self {
            Self::Tabular(tabular) => tabular.regresses(),
            Self::Text(_) => false,
            Self::Forecast(_) => true,
            Self::Image(_) => false,
        }
    }

    /// Fits to rows that have been checked.
    fn fit(
        &self,
        kinds: &[FeatureKind],
        rows: Rows<'_>,
        seed: u64,
        observe: Option<Observer<'_>>,
    ) -> Result<estimator::Member, Error> {
        match self {
            Self::Tabular(tabular) => tabular.fit(kinds, rows, seed, observe).map(estimator::Member::Tabular),
            Self::Text(text) => text.fit(rows, seed).map(estimator::Member::Text),
            Self::Image(image) => image.fit(rows, seed, observe).map(estimator::Member::Image),
            Self::Forecast(forecasting) => forecasting.fit(rows, observe).map(estimator::Member::Forecast),
        }
    }
}
