//! Texts as rows of numbers: terms weighted by TF-IDF, equal to scikit-learn's `TfidfVectorizer` for the same terms.
//!
//! A term's weight in a text is tf × idf, where tf is its count there (or 1 + ln of it) and
//! idf = ln((1 + texts) / (1 + texts with the term)) + 1; the row is then divided by its length. Terms that were not
//! learnt are left out, and a text without any known term is a row without values.

mod analysis;
mod fit;
mod html;
mod murmur;
mod params;
#[cfg(test)]
mod tests;
mod vocabulary;

use serde::{Deserialize, Serialize};

use self::analysis::Analysis;
pub use self::analysis::Analyzer;
pub use self::html::strip_html;
pub use self::params::{TfidfParams, TfidfValidParams};
use self::vocabulary::Vocabulary;
use crate::predictor::MAX_FEATURES;
use crate::sparse::CsrMatrix;
use crate::{Error, parallel};

/// Texts vectorised by one thread before it asks for more.
const CHUNK: usize = 64;

/// A fitted vectoriser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TfidfVectorizer {
    analysis: Analysis,
    sublinear_tf: bool,
    columns: Columns,
    /// Weight of each column.
    idf: Vec<f32>,
}

/// Which column a term has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Columns {
    /// Its place among these terms, which ascend.
    Vocabulary(Vocabulary),
    /// That of its hash; terms may share one.
    Hashed,
}

impl TfidfVectorizer {
    /// Default parameters.
    pub fn params() -> TfidfParams {
        TfidfParams::default()
    }

    /// Number of columns.
    pub fn n_features(&self) -> usize {
        self.idf.len()
    }

    /// The term of each column, ascending; `None` when terms are hashed.
    pub fn vocabulary(&self) -> Option<&[String]> {
        match &self.columns {
            Columns::Vocabulary(vocabulary) => Some(vocabulary.terms()),
            Columns::Hashed => None,
        }
    }

    /// The row of a text: columns, ascending, and their weights.
    pub fn vectorize(&self, text: &str) -> Vec<(u32, f32)> {
        let mut columns = Vec::new();
        self.analysis.for_each_term(text, |term| columns.extend(self.columns.of(term, self.idf.len())));
        columns.sort_unstable();
        let weight = |run: &[u32]| {
            let count = run.len() as f64;
            let tf = if self.sublinear_tf { 1.0 + count.ln() } else { count };
            tf * f64::from(self.idf[run[0] as usize])
        };
        let weights: Vec<_> = columns.chunk_by(|a, b| a == b).map(|run| (run[0], weight(run))).collect();
        let length = weights.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt();
        weights.into_iter().map(|(column, weight)| (column, (weight / length) as f32)).collect()
    }

    /// The rows of many texts. `threads` as everywhere: one per core when not given.
    ///
    /// # Errors
    /// [`Error::TooMany`] for more values than a matrix may hold.
    pub fn transform(&self, texts: &[impl AsRef<str> + Sync], threads: Option<usize>) -> Result<CsrMatrix, Error> {
        let chunks: Vec<_> = texts.chunks(CHUNK).collect();
        let vectorize = |(): &mut (), index: usize| -> Vec<_> {
            chunks[index].iter().map(|text| self.vectorize(text.as_ref())).collect()
        };
        let rows = parallel::map(chunks.len(), parallel::threads(threads), || (), vectorize);
        let mut matrix = CsrMatrix::new(self.n_features())?;
        rows.into_iter().flatten().try_for_each(|row| matrix.push(row))?;
        Ok(matrix)
    }

    /// Whether a decoded vectoriser is safe to use.
    ///
    /// # Errors
    /// The text says what is not.
    pub fn validate(&self) -> Result<(), String> {
        if !self.analysis.is_valid() {
            return Err("the lengths of n-grams are out of range".to_owned());
        }
        if !(1..=MAX_FEATURES).contains(&self.idf.len()) {
            return Err("the number of terms is out of range".to_owned());
        }
        // Large ones would overflow a row's length.
        if self.idf.iter().any(|idf| !(0.0..=1e6).contains(idf) || *idf == 0.0) {
            return Err("the weight of a term is not positive".to_owned());
        }
        match self.vocabulary() {
            Some(terms) if terms.len() != self.idf.len() => {
                Err("the vocabulary has another number of terms than of weights".to_owned())
            }
            _ => Ok(()),
        }
    }
}

impl Columns {
    fn of(&self, term: &str, width: usize) -> Option<u32> {
        match self {
            Self::Vocabulary(vocabulary) => vocabulary.find(term),
            Self::Hashed => Some(murmur::bucket(term, width as u32)),
        }
    }
}
