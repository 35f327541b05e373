//! A classifier of texts: rows of TF-IDF weights, of which a linear support vector machine makes probabilities.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::Answer;
use crate::predictor::MAX_CLASSES;
use crate::sparse::{CsrMatrix, SparseRow};
use crate::svm::LinearSvm;
use crate::text::TfidfVectorizer;
use crate::{Error, FeatureKind, Table, Task, parallel};

/// Rows answered by one thread before it asks for more.
const CHUNK: usize = 64;

/// A fitted classifier of texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TextClassifier {
    /// The features that are texts, ascending.
    columns: Vec<usize>,
    /// Their columns stand side by side.
    vectorizers: Vec<TfidfVectorizer>,
    /// Of every class in training: the answer for a text without a known term. A class that was not there has 0, and the
    /// separator does not know it.
    frequencies: Vec<f64>,
    /// `None` when there was one class only.
    separator: Option<LinearSvm>,
}

impl TextClassifier {
    pub fn new(
        columns: Vec<usize>,
        vectorizers: Vec<TfidfVectorizer>,
        frequencies: Vec<f64>,
        separator: Option<LinearSvm>,
    ) -> Self {
        Self { columns, vectorizers, frequencies, separator }
    }

    pub fn task(&self) -> Task {
        Task::Classification { n_classes: self.frequencies.len() }
    }

    pub fn answer(&self, table: &Table) -> Result<Answer, Error> {
        let texts = table.joined(&self.columns);
        let n_classes = self.frequencies.len();
        let chunks: Vec<&[String]> = texts.chunks(CHUNK).collect();
        let threads = if chunks.len() > 1 { parallel::threads(None) } else { 1 };
        let answer = |(): &mut (), chunk: usize| {
            let mut outputs = vec![0.0; chunks[chunk].len() * n_classes];
            let informed: Result<Vec<bool>, Error> = chunks[chunk]
                .iter()
                .zip(outputs.chunks_mut(n_classes))
                .map(|(text, out)| self.write(text, out))
                .collect();
            informed.map(|informed| (outputs, informed))
        };
        let parts = parallel::map(chunks.len(), threads, || (), answer);
        let (mut outputs, mut informed) = (Vec::with_capacity(texts.len() * n_classes), Vec::new());
        for part in parts {
            let (of_chunk, known) = part?;
            outputs.extend(of_chunk);
            informed.extend(known);
        }
        let shape = (texts.len(), n_classes);
        Ok(Answer { outputs: Array2::from_shape_vec(shape, outputs).map_err(|e| Error::Linfa(e.into()))?, informed })
    }

    /// Writes the probability of each class and tells whether the text has a known term.
    fn write(&self, text: &str, out: &mut [f64]) -> Result<bool, Error> {
        let (mut indices, mut values) = (Vec::new(), Vec::new());
        let mut first = 0;
        for vectorizer in &self.vectorizers {
            for (column, value) in vectorizer.vectorize(text) {
                indices.push(first + column);
                values.push(value);
            }
            first += vectorizer.n_features() as u32;
        }
        match &self.separator {
            Some(separator) if !indices.is_empty() => {
                let present = out.len().min(separator.classes());
                separator.predict_proba_into(SparseRow { indices: &indices, values: &values }, &mut out[..present])?;
                self.spread(present, out);
            }
            _ => out.copy_from_slice(&self.frequencies),
        }
        Ok(!indices.is_empty())
    }

    /// Moves the probabilities of the classes that were there to their places, from the last on.
    fn spread(&self, mut present: usize, out: &mut [f64]) {
        for class in (0..out.len()).rev() {
            out[class] = if self.frequencies[class] > 0.0 && present > 0 {
                present -= 1;
                out[present]
            } else {
                0.0
            };
        }
    }

    pub fn validate(&self, features: &[FeatureKind]) -> Result<(), String> {
        let texts = |column: &usize| features.get(*column) == Some(&FeatureKind::Text);
        if self.columns.is_empty()
            || !self.columns.iter().all(texts)
            || self.columns.windows(2).any(|pair| pair[0] >= pair[1])
        {
            return Err("the text classifier's columns are not those of the texts".to_owned());
        }
        self.vectorizers.iter().try_for_each(TfidfVectorizer::validate)?;
        let width: usize = self.vectorizers.iter().map(TfidfVectorizer::n_features).sum();
        CsrMatrix::new(width).map_err(|error| error.to_string())?;
        if !(1..=MAX_CLASSES).contains(&self.frequencies.len())
            || self.frequencies.iter().any(|frequency| !(0.0..=1.0).contains(frequency))
        {
            return Err("the frequencies of the classes are out of range".to_owned());
        }
        let present = self.frequencies.iter().filter(|frequency| **frequency > 0.0).count();
        match &self.separator {
            Some(separator) if separator.classes() != present || separator.n_features() != width => {
                Err("the text classifier's parts do not fit each other".to_owned())
            }
            Some(separator) => separator.validate(),
            None if present == 1 => Ok(()),
            None => Err("the text classifier has more than one class and nothing to tell them apart".to_owned()),
        }
    }
}
