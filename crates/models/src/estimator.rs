//! A fitted learner with all that was learnt: codes of categories, vocabularies, weights. It answers tables of the features
//! that it was fitted to, and what the trainer evaluates and the gateway serves are calls of the same functions: one row
//! and a batch give the same bits.

mod categories;
pub(crate) mod forecast;
pub(crate) mod fusion;
pub(crate) mod image;
pub(crate) mod tabular;
#[cfg(test)]
mod tests;
pub(crate) mod text;

use ndarray::{Array1, Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use self::forecast::Forecasts;
use self::fusion::LateFusion;
use self::image::ImageClassifier;
use self::tabular::{Encoding, Tabular};
use self::text::TextClassifier;
use crate::forecast::{Forecaster, Observation};
use crate::parts::FeatureColumns;
use crate::predictor::{self, MAX_FEATURES};
use crate::{Error, FeatureKind, Model, Table, Task};

/// A fitted learner of any kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimator {
    features: Vec<FeatureKind>,
    fitted: Fitted,
}

/// Not recursive: a fusion within a fusion could be nested by hostile bytes until the stack ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Fitted {
    One(Member),
    Fusion(LateFusion),
}

/// A fitted learner that stands alone or in a fusion. New kinds go to the end, as their number is what is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Member {
    /// A model of numbers and categories.
    Tabular(Tabular),
    /// A classifier of texts.
    Text(TextClassifier),
    /// Forecasts of series.
    Forecast(Forecasts),
    /// A classifier of images.
    Image(ImageClassifier),
}

/// What a member says about some rows.
pub(crate) struct Answer {
    /// Rows × outputs.
    pub outputs: Array2<f64>,
    /// Whether each row has anything that the member goes by.
    pub informed: Vec<bool>,
}

impl Estimator {
    pub(crate) fn new(features: Vec<FeatureKind>, fitted: Fitted) -> Self {
        Self { features, fitted }
    }

    /// Its algorithm's name in a pipeline file, such as `random_forest`; `linear_regression` whatever its penalty.
    pub fn algorithm(&self) -> &str {
        match &self.fitted {
            Fitted::One(member) => member.algorithm(),
            Fitted::Fusion(_) => "late_fusion",
        }
    }

    /// The kinds of the features that a table must have, in their order.
    pub fn features(&self) -> &[FeatureKind] {
        &self.features
    }

    /// What it answers: probabilities of classes, or a value.
    pub fn task(&self) -> Task {
        match &self.fitted {
            Fitted::One(member) => member.task(),
            Fitted::Fusion(fusion) => fusion.task(),
        }
    }

    /// How many numbers it answers for a row: a probability per class, or one value.
    pub fn n_outputs(&self) -> usize {
        self.task().n_outputs()
    }

    /// The probability of each class, or the value: rows × outputs.
    ///
    /// # Errors
    /// [`Error::FeatureCount`] and [`Error::ColumnKind`] for a table of other features.
    pub fn outputs(&self, table: &Table) -> Result<Array2<f64>, Error> {
        Ok(self.answer(table)?.outputs)
    }

    /// The most probable class of each row, the lowest index among equals.
    ///
    /// # Errors
    /// As [`Self::outputs`]; [`Error::WrongTask`] from a regression.
    pub fn classes(&self, table: &Table) -> Result<Array1<usize>, Error> {
        let Task::Classification { .. } = self.task() else {
            return Err(Error::WrongTask { asked: "classes", task: self.task().name() });
        };
        Ok(most_probable(self.outputs(table)?.view()))
    }

    /// The value of each row, in the targets' unit.
    ///
    /// # Errors
    /// As [`Self::outputs`]; [`Error::WrongTask`] from a classification.
    pub fn values(&self, table: &Table) -> Result<Array1<f64>, Error> {
        let Task::Regression = self.task() else {
            return Err(Error::WrongTask { asked: "values", task: self.task().name() });
        };
        Ok(self.outputs(table)?.into_iter().collect())
    }

    /// Whether it tells the bounds that a value lies within.
    pub fn tells_intervals(&self) -> bool {
        self.forecaster().is_some()
    }

    /// The forecaster, when it is one.
    pub fn forecaster(&self) -> Option<&Forecaster> {
        match &self.fitted {
            Fitted::One(Member::Forecast(forecasts)) => Some(forecasts.forecaster()),
            _ => None,
        }
    }

    /// The bounds that each row's value lies within, where it tells them.
    ///
    /// # Errors
    /// As [`Self::outputs`].
    pub fn intervals(&self, table: &Table) -> Result<Option<Vec<(f64, f64)>>, Error> {
        table.check(&self.features)?;
        match &self.fitted {
            Fitted::One(Member::Forecast(forecasts)) => forecasts.intervals(table).map(Some),
            _ => Ok(None),
        }
    }

    /// The series that rows with these values are to a forecaster, in order of their names and of time; none to any other
    /// estimator.
    ///
    /// # Errors
    /// As [`Self::outputs`].
    pub fn series(&self, table: &Table, values: &Array1<f64>) -> Result<Vec<(String, Vec<Observation>)>, Error> {
        table.check(&self.features)?;
        match &self.fitted {
            Fitted::One(Member::Forecast(forecasts)) => Ok(forecasts.observations(table, values)),
            _ => Ok(Vec::new()),
        }
    }

    /// Whether each row has anything to go by, such as a text with a known word. The answers for the others are those for
    /// nothing at all.
    ///
    /// # Errors
    /// As [`Self::outputs`].
    pub fn informed(&self, table: &Table) -> Result<Vec<bool>, Error> {
        Ok(self.answer(table)?.informed)
    }

    /// The model that answers rows of numbers, when every feature is one: no table is needed then.
    pub fn rows_model(&self) -> Option<&Model> {
        match &self.fitted {
            Fitted::One(Member::Tabular(tabular)) => tabular.rows_model(),
            _ => None,
        }
    }

    /// The model of numbers and categories, and how each feature becomes columns of its rows; `None` when there is none, or
    /// it is not all there is.
    pub fn tabular(&self) -> Option<(&Model, Vec<FeatureColumns<'_>>)> {
        match &self.fitted {
            Fitted::One(Member::Tabular(tabular)) => {
                Some((tabular.model(), tabular.encodings().iter().map(Encoding::columns).collect()))
            }
            _ => None,
        }
    }

    /// Rounds that it was fitted in, those of the models that it continues among them; `None` where there are no rounds.
    pub fn rounds(&self) -> Option<usize> {
        match self.tabular() {
            Some((Model::GradientBoosting(model), _)) => Some(model.n_rounds()),
            _ => None,
        }
    }

    /// Each feature's share of all splits, in order of the features, all zero when there are none; `None` when there is no
    /// model of numbers and categories to tell.
    pub fn feature_importances(&self) -> Option<Vec<f64>> {
        match &self.fitted {
            Fitted::One(Member::Tabular(tabular)) => Some(tabular.feature_importances()),
            _ => None,
        }
    }

    /// What each feature contributes to the outputs: the mean of the absolute Shapley values over the rows of a table and all
    /// outputs ([`crate::shap`]). `None` unless it is one model of trees.
    ///
    /// # Errors
    /// As [`Self::outputs`].
    pub fn mean_contributions(&self, table: &Table) -> Result<Option<Vec<f64>>, Error> {
        table.check(&self.features)?;
        match &self.fitted {
            Fitted::One(Member::Tabular(tabular)) => tabular.mean_contributions(table),
            _ => Ok(None),
        }
    }

    /// Of a late fusion each member's algorithm and weight, in their order; none of any other estimator.
    pub fn members(&self) -> Vec<(&str, f64)> {
        match &self.fitted {
            Fitted::Fusion(fusion) => {
                fusion.members().iter().map(Member::algorithm).zip(fusion.weights().iter().copied()).collect()
            }
            Fitted::One(_) => Vec::new(),
        }
    }

    /// Whether a decoded estimator is safe to ask.
    ///
    /// # Errors
    /// The text says what is not.
    pub fn validate(&self) -> Result<(), String> {
        if self.features.len() > MAX_FEATURES {
            return Err("the number of features is out of range".to_owned());
        }
        match &self.fitted {
            Fitted::One(member) => member.validate(&self.features),
            Fitted::Fusion(fusion) => fusion.validate(&self.features),
        }
    }

    pub(crate) fn fitted(&self) -> &Fitted {
        &self.fitted
    }

    pub(crate) fn answer(&self, table: &Table) -> Result<Answer, Error> {
        table.check(&self.features)?;
        match &self.fitted {
            Fitted::One(member) => member.answer(table),
            Fitted::Fusion(fusion) => fusion.answer(table),
        }
    }
}

/// The most probable class of each row of probabilities, the lowest index among equals.
pub fn most_probable(probabilities: ArrayView2<'_, f64>) -> Array1<usize> {
    probabilities.rows().into_iter().map(|row| predictor::argmax(row.iter().copied())).collect()
}

/// A model of plain numbers is an estimator of them.
impl From<Model> for Estimator {
    fn from(model: Model) -> Self {
        let features = vec![FeatureKind::Number; model.n_features()];
        Self { features, fitted: Fitted::One(Member::Tabular(Tabular::of_numbers(model))) }
    }
}

impl Member {
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Tabular(tabular) => tabular.model().algorithm(),
            Self::Text(_) => "text_classifier",
            Self::Forecast(_) => "forecast",
            Self::Image(image) => image.algorithm(),
        }
    }

    pub fn task(&self) -> Task {
        match self {
            Self::Tabular(tabular) => tabular.model().task(),
            Self::Text(text) => text.task(),
            Self::Forecast(forecasts) => forecasts.task(),
            Self::Image(image) => image.task(),
        }
    }

    /// Answers a table whose kinds have been checked.
    pub fn answer(&self, table: &Table) -> Result<Answer, Error> {
        match self {
            Self::Tabular(tabular) => tabular.answer(table),
            Self::Text(text) => text.answer(table),
            Self::Forecast(forecasts) => forecasts.answer(table),
            Self::Image(image) => image.answer(table),
        }
    }

    pub fn validate(&self, features: &[FeatureKind]) -> Result<(), String> {
        match self {
            Self::Tabular(tabular) => tabular.validate(features),
            Self::Text(text) => text.validate(features),
            Self::Forecast(forecasts) => forecasts.validate(features),
            Self::Image(image) => image.validate(features),
        }
    }
}
