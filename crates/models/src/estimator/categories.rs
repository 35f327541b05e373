//! The codes of a feature's categories, as they were learnt.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::parts::Codes;

/// The most codes, 0 to 254.
const MAX_CODES: usize = 255;

/// Which code a category has: the most frequent one has 0. Where there are more categories than codes, the last code
/// stands for all the others, those that were not seen as well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Categories {
    /// Categories with a code of their own, ascending by text.
    codes: Vec<(Box<str>, u8)>,
    /// Whether the code after those stands for all others.
    others: bool,
}

impl Categories {
    /// Learns from the texts of the training rows: by frequency and, among equals, in order of the texts.
    pub fn fit<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Self {
        let mut counts = HashMap::<&str, usize>::new();
        texts.flatten().for_each(|text| *counts.entry(text).or_default() += 1);
        let mut ranked: Vec<_> = counts.into_iter().collect();
        ranked.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let others = ranked.len() > MAX_CODES;
        ranked.truncate(if others { MAX_CODES - 1 } else { MAX_CODES });
        let mut codes: Vec<(Box<str>, u8)> =
            ranked.iter().enumerate().map(|(code, (text, _))| (Box::from(*text), code as u8)).collect();
        codes.sort_unstable();
        Self { codes, others }
    }

    /// Number of codes.
    pub fn len(&self) -> usize {
        self.codes.len() + usize::from(self.others)
    }

    /// The code of a category; `None` is a missing value, and so is a category that was not seen in training, unless there
    /// is a code for others.
    pub fn code(&self, text: Option<&str>) -> Option<u8> {
        let text = text?;
        match self.codes.binary_search_by(|(known, _)| (**known).cmp(text)) {
            Ok(at) => Some(self.codes[at].1),
            Err(_) => self.others.then_some(self.codes.len() as u8),
        }
    }

    pub fn parts(&self) -> Codes<'_> {
        Codes { known: self.codes.iter().map(|(text, code)| (&**text, *code)).collect(), others: self.others }
    }

    /// Whether a decoded table is one: texts ascend, and each code is there once.
    pub fn validate(&self) -> Result<(), String> {
        let mut seen = [false; MAX_CODES];
        let fits = self.len() <= MAX_CODES
            && self.codes.windows(2).all(|pair| pair[0].0 < pair[1].0)
            && self.codes.iter().all(|(_, code)| {
                usize::from(*code) < self.codes.len() && !std::mem::replace(&mut seen[usize::from(*code)], true)
            });
        if fits { Ok(()) } else { Err("the codes of a feature's categories are not in order".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_categories_come_first_and_equals_in_order_of_their_texts() {
        let texts = ["red", "blue", "green", "blue", "amber"].map(Some);
        let categories = Categories::fit(texts.into_iter().chain([None, None, None]));
        let codes = ["blue", "amber", "green", "red"].map(|text| categories.code(Some(text)));
        assert_eq!(codes, [Some(0), Some(1), Some(2), Some(3)]);
        assert_eq!(categories.len(), 4);
    }

    #[test]
    fn unseen_and_missing_categories_are_missing_values() {
        let categories = Categories::fit([Some("a"), None].into_iter());
        assert_eq!((categories.code(Some("b")), categories.code(Some("")), categories.code(None)), (None, None, None));
        assert_eq!(Categories::fit(std::iter::empty()).code(Some("a")), None);
    }

    #[test]
    fn rare_categories_beyond_the_codes_share_the_last_one() {
        let texts: Vec<String> = (0..300).map(|n| format!("{n:03}")).collect();
        let all = Categories::fit(texts[..255].iter().map(|text| Some(text.as_str())));
        assert_eq!((all.len(), all.code(Some("254")), all.code(Some("299"))), (255, Some(254), None));
        // Number 299 is the most frequent.
        let most = Categories::fit(texts.iter().chain([&texts[299]]).map(|text| Some(text.as_str())));
        assert_eq!((most.len(), most.code(Some("299")), most.code(Some("000"))), (255, Some(0), Some(1)));
        assert_eq!((most.code(Some("252")), most.code(Some("253"))), (Some(253), Some(254)));
        assert_eq!((most.code(Some("unseen")), most.code(None)), (Some(254), None));
        assert!(all.validate().is_ok() && most.validate().is_ok());
    }

    #[test]
    fn a_tampered_table_is_refused() {
        let table = |codes: &[(&str, u8)], others| {
            let codes = codes.iter().map(|(text, code)| (Box::from(*text), *code)).collect();
            Categories { codes, others }.validate()
        };
        assert!(table(&[("a", 1), ("b", 0)], false).is_ok());
        assert!(table(&[("b", 1), ("a", 0)], false).is_err(), "out of order");
        assert!(table(&[("a", 0), ("b", 0)], false).is_err(), "a code twice");
        assert!(table(&[("a", 0), ("b", 2)], true).is_err(), "a code out of range");
        let texts: Vec<String> = (0..255).map(|n| format!("{n:03}")).collect();
        let many: Vec<_> = texts.iter().enumerate().map(|(code, text)| (text.as_str(), code as u8)).collect();
        assert!(table(&many, false).is_ok());
        assert!(table(&many, true).is_err(), "too many codes");
    }
}
