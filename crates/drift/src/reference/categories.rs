//! A feature of categories: the table of those that the training data had.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// Categories that have a cell of their own; the rarest beyond these share one.
pub const MOST_CATEGORIES: usize = 1_024;
/// Bytes of a category that is kept by its name: a longer one is a text, and shares the cell of the others.
const LONGEST: usize = 256;

/// The categories that have a cell of their own. One more cell is for all others: those that were too many in training, and
/// those that were never seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Categories {
    /// The most frequent first; of equally frequent ones, in the order of their names.
    pub categories: Vec<String>,
}

impl Categories {
    /// The table of `values`, with the count of each cell and the number of missing ones.
    pub(super) fn of(values: &[Option<&str>]) -> (Self, Vec<u64>, u64) {
        let mut counted: HashMap<&str, u64> = HashMap::new();
        let mut missing = 0;
        for value in values {
            match value {
                Some(category) => *counted.entry(category).or_default() += 1,
                None => missing += 1,
            }
        }
        let mut counted: Vec<(&str, u64)> = counted.into_iter().collect();
        counted.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        let (mut categories, mut counts, mut others) = (Vec::new(), Vec::new(), 0);
        for (category, count) in counted {
            if categories.len() < MOST_CATEGORIES && category.len() <= LONGEST {
                categories.push(category.to_owned());
                counts.push(count);
            } else {
                others += count;
            }
        }
        counts.push(others);
        (Self { categories }, counts, missing)
    }

    pub(super) fn fault(&self, counts: &[u64]) -> Option<&'static str> {
        if counts.len() != self.categories.len() + 1 {
            return Some("it has not one count more than categories");
        }
        if self.categories.len() > MOST_CATEGORIES {
            return Some("it has too many categories");
        }
        let distinct: BTreeSet<&str> = self.categories.iter().map(String::as_str).collect();
        (distinct.len() != self.categories.len()).then_some("it names a category twice")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_have_cells_and_the_rest_shares_one() {
        let names: Vec<String> = (0..1_500).map(|i| format!("c{i:04}")).collect();
        let mut values: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).collect();
        values.extend([Some("c1400"), Some("c1400"), Some("c1300"), None]);
        let (table, counts, missing) = Categories::of(&values);
        assert_eq!((table.categories.len(), counts.len(), missing), (MOST_CATEGORIES, MOST_CATEGORIES + 1, 1));
        assert_eq!(&table.categories[..3], ["c1400", "c1300", "c0000"]);
        assert_eq!((counts[0], counts[1], counts[2], counts[MOST_CATEGORIES]), (3, 2, 1, 1_500 - 1_024));
        assert_eq!(table.fault(&counts), None);
    }

    #[test]
    fn a_long_text_is_no_category_of_its_own() {
        let long = "x".repeat(300);
        let (table, counts, _) = Categories::of(&[Some("a"), Some(&long), Some(&long)]);
        assert_eq!((table.categories.as_slice(), counts.as_slice()), (&["a".to_owned()][..], &[1, 2][..]));
        assert_eq!(Categories::of(&[]).1, [0]);
    }
}
