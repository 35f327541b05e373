//! Terms in alphabetical order, and where a term is.

use std::hash::{BuildHasher, RandomState};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::predictor::MAX_FEATURES;

/// A place without a term.
const FREE: u32 = u32::MAX;

/// Stored as its terms alone; the table is made again when they are read.
#[derive(Clone, Debug)]
pub(super) struct Vocabulary {
    terms: Vec<String>,
    /// Numbers of terms, each at the first free place from its hash on; at most half of the places are taken. The hash
    /// is keyed by chance, so that no terms can be chosen that all share a place. Which number a term has does not
    /// depend on it.
    table: Vec<u32>,
    hasher: RandomState,
}

impl Vocabulary {
    /// From at most 2²⁰ terms, ascending.
    pub fn new(terms: Vec<String>) -> Self {
        let hasher = RandomState::new();
        let mut table = vec![FREE; (2 * terms.len()).next_power_of_two()];
        let mask = table.len() - 1;
        for (number, term) in terms.iter().enumerate() {
            let mut at = hasher.hash_one(term.as_str()) as usize & mask;
            while table[at] != FREE {
                at = (at + 1) & mask;
            }
            table[at] = number as u32;
        }
        Self { terms, table, hasher }
    }

    pub fn terms(&self) -> &[String] {
        &self.terms
    }

    /// The place of a term.
    pub fn find(&self, term: &str) -> Option<u32> {
        let mask = self.table.len() - 1;
        let mut at = self.hasher.hash_one(term) as usize & mask;
        loop {
            match self.table[at] {
                FREE => return None,
                number if self.terms[number as usize] == term => return Some(number),
                _ => at = (at + 1) & mask,
            }
        }
    }
}

impl PartialEq for Vocabulary {
    fn eq(&self, other: &Self) -> bool {
        self.terms == other.terms
    }
}

impl Serialize for Vocabulary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.terms.serialize(serializer)
    }
}

/// Checked here and not later: the table of terms that repeat would take time without end.
impl<'de> Deserialize<'de> for Vocabulary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let terms: Vec<String> = Vec::deserialize(deserializer)?;
        if terms.len() > MAX_FEATURES || terms.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(D::Error::custom("the vocabulary is too large or not in order"));
        }
        Ok(Self::new(terms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_term_is_found_and_no_other() {
        let terms: Vec<String> = (1_000..3_000).map(|n| format!("term {n}")).collect();
        let vocabulary = Vocabulary::new(terms.clone());
        for (number, term) in terms.iter().enumerate() {
            assert_eq!(vocabulary.find(term), Some(number as u32));
        }
        assert_eq!(vocabulary.find("term 999"), None);
        assert_eq!(Vocabulary::new(Vec::new()).find(""), None);
    }
    #[test]
    fn terms_that_repeat_or_are_out_of_order_are_refused() {
        let decode = |terms: &[&str]| serde_json::from_value::<Vocabulary>(serde_json::json!(terms));
        assert_eq!(decode(&["a", "b"]).unwrap().terms(), ["a", "b"]);
        assert!(decode(&["b", "a"]).is_err());
        assert!(decode(&["a"; 1_000_000]).is_err());
    }
}
