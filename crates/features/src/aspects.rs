//! What is counted of a feature so that its drift shows: of numbers and categories their values, of texts and images a few
//! numbers that sum them up. The trainer counts a model's reference with it, the stream what comes in later.

use driftmill_schemas::pipeline::FeatureType;
use driftmill_vision::{Colours, colours};

/// Of a text: its characters, its words (runs of letters and digits), and the share of its characters that are letters.
pub const OF_TEXTS: [&str; 3] = ["length", "words", "letters"];

/// Names of the columns that are counted of a feature: its own name, or that and an aspect, such as `photo.contrast`.
pub fn names(feature: &str, kind: FeatureType) -> Vec<String> {
    let with = |aspects: &[&str]| aspects.iter().map(|aspect| format!("{feature}.{aspect}")).collect();
    match kind {
        FeatureType::Number | FeatureType::Category => vec![feature.to_owned()],
        FeatureType::Text => with(&OF_TEXTS),
        FeatureType::Image => with(&Colours::NAMES),
    }
}

/// The columns of texts, in the order of [`OF_TEXTS`]. A missing text is missing (NaN) in the first column and has no row in
/// the others: it is missing once.
pub fn of_texts<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Vec<Vec<f64>> {
    columns(OF_TEXTS.len(), texts.map(|text| text.map(of_text)))
}

/// The columns of square images as RGB pixels, in the order of [`Colours::NAMES`]; missing ones as in [`of_texts`].
pub fn of_images<'a>(images: impl Iterator<Item = Option<&'a [u8]>>) -> Vec<Vec<f64>> {
    let side = |pixels: &[u8]| ((pixels.len() / 3) as f64).sqrt().round() as usize;
    columns(Colours::NAMES.len(), images.map(|pixels| pixels.map(|pixels| colours(pixels, side(pixels)).values())))
}

fn columns<const N: usize>(aspects: usize, rows: impl Iterator<Item = Option<[f64; N]>>) -> Vec<Vec<f64>> {
    let mut columns = vec![Vec::new(); aspects];
    for row in rows {
        match row {
            Some(values) => columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value)),
            None => columns[0].push(f64::NAN),
        }
    }
    columns
}

fn of_text(text: &str) -> [f64; 3] {
    let (mut characters, mut letters, mut words, mut within) = (0u64, 0u64, 0u64, false);
    for character in text.chars() {
        characters += 1;
        letters += u64::from(character.is_alphabetic());
        let of_word = character.is_alphanumeric();
        words += u64::from(of_word && !within);
        within = of_word;
    }
    // An empty text has no share of anything.
    let share = if characters > 0 { letters as f64 / characters as f64 } else { f64::NAN };
    [characters as f64, words as f64, share]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_its_length_its_words_and_its_letters() {
        assert_eq!(of_text("Ça va, 42!"), [10.0, 3.0, 0.4]);
        let empty = of_text("");
        assert!(empty[0] == 0.0 && empty[1] == 0.0 && empty[2].is_nan());
    }

    #[test]
    fn what_is_missing_is_missing_once() {
        let columns = of_texts([Some("a b"), None, Some("c")].into_iter());
        assert!(columns[0][0] == 3.0 && columns[0][1].is_nan() && columns[0].len() == 3);
        assert_eq!((&columns[1], columns[2].len()), (&vec![2.0, 1.0], 2));
        let white = [255u8; 12];
        let columns = of_images([Some(&white[..]), None].into_iter());
        assert_eq!((columns.len(), columns[0].len(), columns[1].len()), (9, 2, 1));
        assert_eq!((columns[0][0], columns[8][0]), (255.0, 0.0));
    }

    #[test]
    fn every_kind_has_as_many_names_as_columns() {
        assert_eq!(names("x", FeatureType::Number), ["x"]);
        assert_eq!(names("text", FeatureType::Text).len(), of_texts([None].into_iter()).len());
        assert_eq!(names("photo", FeatureType::Image).len(), of_images([None].into_iter()).len());
        assert_eq!(names("photo", FeatureType::Image)[6], "photo.contrast");
    }
}
