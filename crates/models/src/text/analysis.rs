//! From a text to its terms: words or character n-grams, as scikit-learn's `CountVectorizer` makes them.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

use super::html::strip_html;

/// The longest n-gram.
pub(super) const MAX_NGRAM: u8 = 16;

/// What terms are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Analyzer {
    /// Words: two or more letters, digits or underscores in a row, joined by a space.
    #[default]
    Word,
    /// Characters within a word, which has a space on either side.
    CharWb,
    /// Characters, across words too; two spaces or more in a row are one.
    Char,
}

/// How terms are made, part of the fitted vectoriser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Analysis {
    pub strip_html: bool,
    pub lowercase: bool,
    pub strip_accents: bool,
    pub analyzer: Analyzer,
    /// Shortest and longest n-gram.
    pub ngram_range: (u8, u8),
}

impl Analysis {
    /// Calls `each` with every term of the text, as often as it occurs.
    pub fn for_each_term(&self, text: &str, each: impl FnMut(&str)) {
        let text = self.normalised(text);
        match self.analyzer {
            Analyzer::Word => self.words(&text, each),
            Analyzer::CharWb => self.characters_of_words(&text, each),
            Analyzer::Char => self.characters(&text, each),
        }
    }

    /// Whether the lengths of n-grams are in range and order.
    pub fn is_valid(&self) -> bool {
        let (shortest, longest) = self.ngram_range;
        1 <= shortest && shortest <= longest && longest <= MAX_NGRAM
    }

    fn normalised(&self, text: &str) -> String {
        let mut text = if self.strip_html { strip_html(text) } else { text.to_owned() };
        if self.lowercase {
            text = text.to_lowercase();
        }
        if self.strip_accents && !text.is_ascii() {
            text = text.nfkd().filter(|c| canonical_combining_class(*c) == 0).collect();
        }
        text
    }

    fn words(&self, text: &str, mut each: impl FnMut(&str)) {
        // All words with one space between them, so that each n-gram is a slice.
        let mut joined = String::with_capacity(text.len());
        let mut places = Vec::new();
        for word in text.split(|c: char| !c.is_alphanumeric() && c != '_') {
            if word.chars().nth(1).is_some() {
                joined.push_str(word);
                places.push((joined.len() - word.len(), joined.len()));
                joined.push(' ');
            }
        }
        for n in self.lengths() {
            places.windows(n).for_each(|run| each(&joined[run[0].0..run[n - 1].1]));
        }
    }

    fn characters(&self, text: &str, mut each: impl FnMut(&str)) {
        let mut joined = String::with_capacity(text.len());
        let mut space = None;
        for c in text.chars() {
            match (space, c.is_whitespace()) {
                (_, false) => {
                    joined.extend(space.take());
                    joined.push(c);
                }
                // As in scikit-learn, a tab that stands alone stays one.
                (None, true) => space = Some(c),
                (Some(_), true) => space = Some(' '),
            }
        }
        joined.extend(space);
        let starts: Vec<usize> = joined.char_indices().map(|(at, _)| at).chain([joined.len()]).collect();
        for n in self.lengths() {
            starts.windows(n + 1).for_each(|run| each(&joined[run[0]..run[n]]));
        }
    }

    fn characters_of_words(&self, text: &str, mut each: impl FnMut(&str)) {
        let (mut padded, mut starts) = (String::new(), Vec::new());
        for word in text.split_whitespace() {
            padded.clear();
            padded.extend([" ", word, " "]);
            starts.clear();
            starts.extend(padded.char_indices().map(|(at, _)| at).chain([padded.len()]));
            let length = starts.len() - 1;
            for n in self.lengths() {
                // A word that is no longer than n is one n-gram, and counts for no longer ones.
                starts.windows(n + 1).for_each(|run| each(&padded[run[0]..run[n]]));
                if n >= length {
                    if n > length {
                        each(&padded);
                    }
                    break;
                }
            }
        }
    }

    fn lengths(&self) -> impl Iterator<Item = usize> {
        usize::from(self.ngram_range.0)..=usize::from(self.ngram_range.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: Analysis = Analysis {
        strip_html: true,
        lowercase: true,
        strip_accents: false,
        analyzer: Analyzer::Word,
        ngram_range: (1, 1),
    };

    fn terms(analysis: &Analysis, text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        analysis.for_each_term(text, |term| terms.push(term.to_owned()));
        terms
    }

    #[test]
    fn words_have_two_characters_or_more() {
        let text = "The <b>quick</b>-witted FOX_1 is a 12 x ÉTÉ &amp; Größe, 日本語";
        assert_eq!(terms(&WORDS, text), ["the", "quick", "witted", "fox_1", "is", "12", "été", "größe", "日本語"]);
        let bigrams = Analysis { ngram_range: (1, 2), ..WORDS };
        assert_eq!(terms(&bigrams, "Red,  a  hot\tPan"), ["red", "hot", "pan", "red hot", "hot pan"]);
        assert!(terms(&bigrams, "").is_empty());
    }

    #[test]
    fn accents_are_stripped_when_asked() {
        let bare = Analysis { strip_accents: true, ..WORDS };
        assert_eq!(terms(&bare, "Été naïve ﬁn Ångström"), ["ete", "naive", "fin", "angstrom"]);
    }

    #[test]
    fn html_and_case_stay_when_asked() {
        let raw = Analysis { strip_html: false, lowercase: false, ..WORDS };
        assert_eq!(terms(&raw, "<td>Big</td>"), ["td", "Big", "td"]);
    }

    #[test]
    fn characters_cross_words_and_spaces_in_a_row_are_one() {
        let characters = |range| Analysis { analyzer: Analyzer::Char, ngram_range: range, ..WORDS };
        assert_eq!(terms(&characters((2, 3)), "a\n\tBé"), ["a ", " b", "bé", "a b", " bé"]);
        assert_eq!(terms(&characters((2, 2)), "a\tb"), ["a\t", "\tb"]);
        assert!(terms(&characters((3, 4)), "ab").is_empty());
    }

    #[test]
    fn character_ngrams_stay_within_words() {
        let characters = |range| Analysis { analyzer: Analyzer::CharWb, ngram_range: range, ..WORDS };
        assert_eq!(terms(&characters((3, 4)), "Hé ab"), [" hé", "hé ", " hé ", " ab", "ab ", " ab "]);
        // scikit-learn: a word shorter than n counts once, whatever longer n follow.
        assert_eq!(terms(&characters((4, 6)), "a bcd"), [" a ", " bcd", "bcd ", " bcd "]);
        assert_eq!(terms(&characters((3, 3)), "a"), [" a "]);
    }
}
