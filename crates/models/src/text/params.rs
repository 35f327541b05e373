//! Parameters of the vectoriser, with the names and, besides HTML, the defaults of scikit-learn's `TfidfVectorizer`.

use linfa::ParamGuard;

use super::analysis::{Analysis, Analyzer, MAX_NGRAM};
use crate::Error;
use crate::predictor::MAX_FEATURES;

/// Checked parameters of [`super::TfidfVectorizer`].
#[derive(Clone, Debug, PartialEq)]
pub struct TfidfValidParams {
    pub(super) analysis: Analysis,
    pub(super) min_df: usize,
    pub(super) max_df: f64,
    pub(super) max_features: Option<usize>,
    pub(super) hash_buckets: Option<usize>,
    pub(super) sublinear_tf: bool,
    pub(super) n_jobs: Option<usize>,
}

/// Parameters of [`super::TfidfVectorizer`].
#[derive(Clone, Debug, PartialEq)]
pub struct TfidfParams(TfidfValidParams);

impl Default for TfidfParams {
    fn default() -> Self {
        let analysis = Analysis {
            strip_html: true,
            lowercase: true,
            strip_accents: false,
            analyzer: Analyzer::Word,
            ngram_range: (1, 1),
        };
        Self(TfidfValidParams {
            analysis,
            min_df: 1,
            max_df: 1.0,
            max_features: None,
            hash_buckets: None,
            sublinear_tf: false,
            n_jobs: None,
        })
    }
}

impl TfidfParams {
    /// Whether tags are taken out and entities decoded first, see [`super::strip_html`].
    pub fn strip_html(mut self, strip_html: bool) -> Self {
        self.0.analysis.strip_html = strip_html;
        self
    }

    /// Whether the text is lowercased.
    pub fn lowercase(mut self, lowercase: bool) -> Self {
        self.0.analysis.lowercase = lowercase;
        self
    }

    /// Whether é becomes e, scikit-learn's `strip_accents="unicode"`.
    pub fn strip_accents(mut self, strip_accents: bool) -> Self {
        self.0.analysis.strip_accents = strip_accents;
        self
    }

    /// Words or characters.
    pub fn analyzer(mut self, analyzer: Analyzer) -> Self {
        self.0.analysis.analyzer = analyzer;
        self
    }

    /// Shortest and longest n-gram, 1 to 16.
    pub fn ngram_range(mut self, shortest: u8, longest: u8) -> Self {
        self.0.analysis.ngram_range = (shortest, longest);
        self
    }

    /// Texts a term must be in, at least 1.
    pub fn min_df(mut self, min_df: usize) -> Self {
        self.0.min_df = min_df;
        self
    }

    /// The largest share of the texts a term may be in, above 0 and up to 1.
    pub fn max_df(mut self, max_df: f64) -> Self {
        self.0.max_df = max_df;
        self
    }

    /// How many terms are kept, the most frequent ones and of equals the first of the alphabet; `None` for all.
    pub fn max_features(mut self, max_features: Option<usize>) -> Self {
        self.0.max_features = max_features;
        self
    }

    /// Hashes terms into this many columns instead of learning a vocabulary, which makes `min_df`, `max_df` and
    /// `max_features` meaningless; `None` for a vocabulary.
    pub fn hash_buckets(mut self, hash_buckets: Option<usize>) -> Self {
        self.0.hash_buckets = hash_buckets;
        self
    }

    /// Whether a count tf becomes 1 + ln tf.
    pub fn sublinear_tf(mut self, sublinear_tf: bool) -> Self {
        self.0.sublinear_tf = sublinear_tf;
        self
    }

    /// Threads; one per core when not given. What is learnt does not depend on it.
    pub fn n_jobs(mut self, n_jobs: Option<usize>) -> Self {
        self.0.n_jobs = n_jobs;
        self
    }
}

impl ParamGuard for TfidfParams {
    type Checked = TfidfValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&TfidfValidParams, Error> {
        const { assert!(MAX_NGRAM == 16 && MAX_FEATURES == 1 << 20, "the texts below say so") };
        let p = &self.0;
        let columns = |count: Option<usize>| count.is_none_or(|count| (1..=MAX_FEATURES).contains(&count));
        let shown = |count: Option<usize>| count.map_or_else(|| "null".to_owned(), |count| count.to_string());
        let range = p.analysis.ngram_range;
        let checks = [
            ("ngram_range", "two lengths of 1 to 16, the shorter first", format!("{range:?}"), p.analysis.is_valid()),
            ("min_df", "at least 1", p.min_df.to_string(), p.min_df >= 1),
            ("max_df", "above 0 and up to 1", p.max_df.to_string(), p.max_df > 0.0 && p.max_df <= 1.0),
            ("max_features", "between 1 and 1048576, or null", shown(p.max_features), columns(p.max_features)),
            ("hash_buckets", "between 1 and 1048576, or null", shown(p.hash_buckets), columns(p.hash_buckets)),
        ];
        match checks.into_iter().find(|(.., valid)| !valid) {
            Some((name, expected, got, _)) => Err(Error::Parameter { name, expected, got }),
            None => Ok(p),
        }
    }

    fn check(self) -> Result<TfidfValidParams, Error> {
        self.check_ref()?;
        Ok(self.0)
    }
}
