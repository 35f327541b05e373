//! Learns which terms there are and in how many texts each occurs.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::params::TfidfValidParams;
use super::vocabulary::Vocabulary;
use super::{Columns, TfidfVectorizer, murmur};
use crate::predictor::MAX_FEATURES;
use crate::{Error, parallel};

/// How often a term or bucket occurs.
#[derive(Clone, Copy, Default)]
struct Frequency {
    /// Texts it is in.
    texts: usize,
    /// Times in all of them.
    total: usize,
    /// Number of the last text it was seen in, plus 1.
    last: usize,
}

impl Frequency {
    fn count(&mut self, text: usize) {
        self.total += 1;
        self.texts += usize::from(self.last != text + 1);
        self.last = text + 1;
    }
}

impl TfidfValidParams {
    /// Learns vocabulary and weights. The order of the texts does not matter.
    ///
    /// # Errors
    /// [`Error::NoRows`]; [`Error::NoTerms`] when no term is left; [`Error::TooMany`] for a vocabulary of more than 2²⁰.
    pub fn fit(&self, texts: &[impl AsRef<str> + Sync]) -> Result<TfidfVectorizer, Error> {
        if texts.is_empty() {
            return Err(Error::NoRows);
        }
        let idf = |with_term: usize| (((1 + texts.len()) as f64 / (1 + with_term) as f64).ln() + 1.0) as f32;
        let (columns, idf) = match self.hash_buckets {
            Some(buckets) => {
                let frequencies = self.count_buckets(texts, buckets);
                (Columns::Hashed, frequencies.into_iter().map(|frequency| idf(frequency.texts)).collect())
            }
            None => {
                let terms = self.select(self.count_terms(texts), texts.len())?;
                let idf = terms.iter().map(|(_, frequency)| idf(frequency.texts)).collect();
                let terms = terms.into_iter().map(|(term, _)| term).collect();
                (Columns::Vocabulary(Vocabulary::new(terms)), idf)
            }
        };
        Ok(TfidfVectorizer { analysis: self.analysis.clone(), sublinear_tf: self.sublinear_tf, columns, idf })
    }

    /// Each thread counts a share of the texts; sums do not depend on who counted what.
    fn count_terms(&self, texts: &[impl AsRef<str> + Sync]) -> HashMap<String, Frequency> {
        let threads = parallel::threads(self.n_jobs);
        let shares: Vec<_> = texts.chunks(texts.len().div_ceil(threads)).collect();
        let count = |(): &mut (), share: usize| {
            let mut frequencies = HashMap::<String, Frequency>::new();
            for (index, text) in shares[share].iter().enumerate() {
                self.analysis.for_each_term(text.as_ref(), |term| match frequencies.get_mut(term) {
                    Some(frequency) => frequency.count(index),
                    None => frequencies.entry(term.to_owned()).or_default().count(index),
                });
            }
            frequencies
        };
        let counted = parallel::map(shares.len(), threads, || (), count);
        let mut all = HashMap::new();
        for (term, frequency) in counted.into_iter().flatten() {
            let sum: &mut Frequency = all.entry(term).or_default();
            sum.texts += frequency.texts;
            sum.total += frequency.total;
        }
        all
    }

    fn count_buckets(&self, texts: &[impl AsRef<str> + Sync], buckets: usize) -> Vec<Frequency> {
        let mut frequencies = vec![Frequency::default(); buckets];
        for (index, text) in texts.iter().enumerate() {
            self.analysis.for_each_term(text.as_ref(), |term| {
                frequencies[murmur::bucket(term, buckets as u32) as usize].count(index);
            });
        }
        frequencies
    }

    /// The terms that are kept, ascending.
    fn select(&self, all: HashMap<String, Frequency>, texts: usize) -> Result<Vec<(String, Frequency)>, Error> {
        let most = self.max_df * texts as f64;
        let kept = |frequency: &Frequency| frequency.texts >= self.min_df && frequency.texts as f64 <= most;
        let mut terms: Vec<_> = all.into_iter().filter(|(_, frequency)| kept(frequency)).collect();
        if let Some(limit) = self.max_features.filter(|limit| *limit < terms.len()) {
            terms.sort_unstable_by(|a, b| (Reverse(a.1.total), &a.0).cmp(&(Reverse(b.1.total), &b.0)));
            terms.truncate(limit);
        }
        match terms.len() {
            0 => Err(Error::NoTerms),
            got if got > MAX_FEATURES => Err(Error::TooMany { what: "terms", got, limit: MAX_FEATURES }),
            _ => {
                terms.sort_unstable_by(|a, b| a.0.cmp(&b.0));
                Ok(terms)
            }
        }
    }
}
