//! A model of numbers and categories, and how a table becomes its rows.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::Answer;
use super::categories::Categories;
use crate::parts::FeatureColumns;
use crate::table::Column;
use crate::{Error, FeatureKind, Model, Table};

/// How a feature becomes columns of the model's rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Encoding {
    /// A number, as it is.
    Number,
    /// A column of codes.
    Codes(Categories),
    /// A column for each category, 1 where the row is of it. All are missing where the category is.
    OneHot(Categories),
    /// Not at all: texts and images.
    Ignored,
}

impl Encoding {
    /// Learns what a column needs. Lines and single trees want a column for each category, others take codes.
    pub fn fit(kind: FeatureKind, column: &Column, one_hot: bool) -> Self {
        match (kind, column) {
            (FeatureKind::Number, _) => Self::Number,
            (FeatureKind::Category, Column::Text(texts)) => {
                let categories = Categories::fit(texts.iter().map(Option::as_deref));
                if one_hot { Self::OneHot(categories) } else { Self::Codes(categories) }
            }
            _ => Self::Ignored,
        }
    }

    fn width(&self) -> usize {
        match self {
            Self::Number | Self::Codes(_) => 1,
            // A feature that never had a value is a column that never has one.
            Self::OneHot(categories) => categories.len().max(1),
            Self::Ignored => 0,
        }
    }

    pub fn columns(&self) -> FeatureColumns<'_> {
        match self {
            Self::Number => FeatureColumns::Number,
            Self::Codes(categories) => FeatureColumns::Codes(categories.parts()),
            Self::OneHot(categories) => FeatureColumns::OneHot(categories.parts()),
            Self::Ignored => FeatureColumns::Ignored,
        }
    }

    fn is_for(&self, kind: FeatureKind) -> bool {
        match kind {
            FeatureKind::Number => matches!(self, Self::Number),
            FeatureKind::Category => matches!(self, Self::Codes(_) | Self::OneHot(_)),
            FeatureKind::Text | FeatureKind::Image { .. } => matches!(self, Self::Ignored),
        }
    }

    fn validate(&self) -> Result<(), String> {
        match self {
            Self::Codes(categories) | Self::OneHot(categories) => categories.validate(),
            Self::Number | Self::Ignored => Ok(()),
        }
    }

    /// Writes a column's values to the columns of `records` from `first` on.
    fn write(&self, column: &Column, records: &mut Array2<f64>, first: usize) {
        match (self, column) {
            (Self::Number, Column::Number(values)) => {
                records.column_mut(first).iter_mut().zip(values).for_each(|(cell, value)| *cell = *value);
            }
            (Self::Codes(categories), Column::Text(texts)) => {
                for (cell, text) in records.column_mut(first).iter_mut().zip(texts) {
                    *cell = categories.code(text.as_deref()).map_or(f64::NAN, f64::from);
                }
            }
            (Self::OneHot(categories), Column::Text(texts)) => {
                for (row, text) in texts.iter().enumerate() {
                    let code = categories.code(text.as_deref());
                    for place in 0..self.width() {
                        records[(row, first + place)] = match code {
                            Some(code) if usize::from(code) == place => 1.0,
                            Some(_) => 0.0,
                            None => f64::NAN,
                        };
                    }
                }
            }
            _ => {}
        }
    }
}

/// The rows of a table whose kinds have been checked: one column or more for each feature that is encoded.
pub(crate) fn records(encodings: &[Encoding], table: &Table) -> Array2<f64> {
    let mut records = Array2::zeros((table.rows(), encodings.iter().map(Encoding::width).sum()));
    let mut first = 0;
    for (encoding, column) in encodings.iter().zip(table.columns()) {
        encoding.write(column, &mut records, first);
        first += encoding.width();
    }
    records
}

/// A fitted model with the encoding of each feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tabular {
    encodings: Vec<Encoding>,
    model: Model,
}

impl Tabular {
    pub fn new(encodings: Vec<Encoding>, model: Model) -> Self {
        Self { encodings, model }
    }

    pub fn of_numbers(model: Model) -> Self {
        Self { encodings: vec![Encoding::Number; model.n_features()], model }
    }

    pub fn model(&self) -> &Model {
        &self.model
    }

    pub fn encodings(&self) -> &[Encoding] {
        &self.encodings
    }

    pub fn rows_model(&self) -> Option<&Model> {
        self.encodings.iter().all(|encoding| *encoding == Encoding::Number).then_some(&self.model)
    }

    pub fn answer(&self, table: &Table) -> Result<Answer, Error> {
        let records = records(&self.encodings, table);
        // The baseline goes by nothing, and so by any row.
        let baseline = matches!(self.model, Model::Constant(_));
        let informed = records.rows().into_iter().map(|row| baseline || row.iter().any(|value| !value.is_nan()));
        Ok(Answer { informed: informed.collect(), outputs: self.model.outputs(records.view())? })
    }

    pub fn mean_contributions(&self, table: &Table) -> Result<Option<Vec<f64>>, Error> {
        let Ok(explainer) = self.model.explainer() else { return Ok(None) };
        let records = records(&self.encodings, table);
        let mut sums = vec![0.0; self.model.n_features()];
        for row in records.rows() {
            let contributions = explainer.contributions(&row.to_vec())?;
            for (sum, column) in sums.iter_mut().zip(contributions.values.columns()) {
                *sum += column.iter().map(|value| value.abs()).sum::<f64>();
            }
        }
        let values = (records.nrows() * self.model.n_outputs()).max(1) as f64;
        sums.iter_mut().for_each(|sum| *sum /= values);
        Ok(Some(self.of_features(&sums)))
    }

    pub fn feature_importances(&self) -> Vec<f64> {
        self.of_features(&self.model.feature_importances())
    }

    /// What is told of columns, of features: the numbers of a feature's columns add up.
    fn of_features(&self, of_columns: &[f64]) -> Vec<f64> {
        let mut rest = of_columns;
        let sum = |encoding: &Encoding| {
            let (own, others) = rest.split_at(encoding.width());
            rest = others;
            own.iter().sum()
        };
        self.encodings.iter().map(sum).collect()
    }

    pub fn validate(&self, features: &[FeatureKind]) -> Result<(), String> {
        let fits = self.encodings.len() == features.len()
            && self.encodings.iter().zip(features).all(|(encoding, kind)| encoding.is_for(*kind))
            && self.encodings.iter().map(Encoding::width).sum::<usize>() == self.model.n_features();
        if !fits {
            return Err("the encodings do not fit the features or the model".to_owned());
        }
        self.encodings.iter().try_for_each(Encoding::validate)?;
        self.model.validate()
    }
}
