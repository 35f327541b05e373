//! References are scikit-learn 1.9.1's `TfidfVectorizer` on the same texts.

use linfa::ParamGuard;

use super::*;

const TEXTS: [&str; 5] = [
    "The quick brown fox, the lazy dog!",
    "A quick-witted FOX_1 naïve café 12 x",
    "dog dog Dog",
    "",
    "Été café à la carte",
];

fn fit(params: TfidfParams) -> TfidfVectorizer {
    params.check().unwrap().fit(&TEXTS).unwrap()
}

#[track_caller]
fn assert_row(vectorizer: &TfidfVectorizer, text: usize, expected: &[(u32, f32)]) {
    let row = vectorizer.vectorize(TEXTS[text]);
    let same = |(got, expected): (&(u32, f32), &(u32, f32))| got.0 == expected.0 && (got.1 - expected.1).abs() < 1e-6;
    assert!(row.len() == expected.len() && row.iter().zip(expected).all(same), "{row:?} is not {expected:?}");
}

#[test]
fn words_have_the_weights_of_scikit_learn() {
    let vectorizer = fit(TfidfVectorizer::params());
    let terms =
        ["12", "brown", "café", "carte", "dog", "fox", "fox_1", "la", "lazy", "naïve", "quick", "the", "witted", "été"];
    assert_eq!(vectorizer.vocabulary().unwrap(), terms);
    let (rare, common) = (0.347_066_76, 0.280_011_28);
    assert_row(&vectorizer, 0, &[(1, rare), (4, common), (5, rare), (8, rare), (10, common), (11, 0.694_133_5)]);
    let (rare, common) = (0.434_297_18, 0.350_388_23);
    assert_row(&vectorizer, 1, &[(0, rare), (2, common), (6, rare), (9, rare), (10, common), (12, rare)]);
    assert_row(&vectorizer, 2, &[(4, 1.0)]);
    assert_row(&vectorizer, 3, &[]);
    assert_row(&vectorizer, 4, &[(2, 0.422_242_14), (3, 0.523_358), (7, 0.523_358), (13, 0.523_358)]);
}

#[test]
fn bigrams_document_frequencies_and_logarithms_are_those_of_scikit_learn() {
    let params = TfidfVectorizer::params().ngram_range(1, 2).sublinear_tf(true).min_df(2).strip_accents(true);
    let vectorizer = fit(params);
    assert_eq!(vectorizer.vocabulary().unwrap(), ["cafe", "dog", "quick"]);
    assert_row(&vectorizer, 0, &[(1, 0.707_106_77), (2, 0.707_106_77)]);
    let vectorizer = fit(TfidfVectorizer::params().ngram_range(1, 2).max_df(0.4));
    assert_eq!(vectorizer.n_features(), 29);
    assert_row(&vectorizer, 2, &[(7, 0.770_875), (8, 0.636_986_46)]);
    let vectorizer = fit(TfidfVectorizer::params().ngram_range(1, 2).sublinear_tf(true));
    let row = vectorizer.vectorize(TEXTS[0]);
    assert!((row[0].1 - 0.275_569_1).abs() < 1e-6 && (row[9].1 - 0.466_579_06).abs() < 1e-6, "{row:?}");
}

#[test]
fn characters_have_the_weights_of_scikit_learn() {
    let vectorizer = fit(TfidfVectorizer::params().analyzer(Analyzer::CharWb).ngram_range(2, 4).min_df(2));
    assert_eq!(vectorizer.n_features(), 42);
    assert_row(&vectorizer, 2, &[3, 4, 5, 22, 23, 32].map(|column| (column, 0.408_248_3)));
    let (once, twice) = (0.183_527_8, 0.367_055_6);
    let row = vectorizer.vectorize(TEXTS[4]);
    assert_eq!(row[..3].iter().map(|entry| entry.0).collect::<Vec<_>>(), [0, 1, 2]);
    assert!((row[0].1 - twice).abs() < 1e-6 && (row[2].1 - once).abs() < 1e-6);
}

#[test]
fn the_most_frequent_terms_are_kept() {
    let vectorizer = fit(TfidfVectorizer::params().max_features(Some(3)));
    assert_eq!(vectorizer.vocabulary().unwrap(), ["café", "dog", "quick"]);
    let vectorizer = fit(TfidfVectorizer::params().max_features(Some(1)));
    assert_eq!(vectorizer.vocabulary().unwrap(), ["dog"]);
    assert_row(&vectorizer, 1, &[]);
}

#[test]
fn hashed_terms_are_those_of_scikit_learn() {
    // HashingVectorizer(n_features=16, alternate_sign=False, norm=None), then TfidfTransformer().
    let vectorizer = fit(TfidfVectorizer::params().hash_buckets(Some(16)));
    assert_eq!((vectorizer.n_features(), vectorizer.vocabulary()), (16, None));
    let expected = [(0, 0.338_971_5), (5, 0.227_013_15), (7, 0.677_942_96), (13, 0.273_480_06), (14, 0.546_960_1)];
    assert_row(&vectorizer, 0, &expected);
    let expected = [(3, 0.418_740_27), (5, 0.280_435_24), (8, 0.675_674), (11, 0.418_740_27), (13, 0.337_837)];
    assert_row(&vectorizer, 1, &expected);
}

#[test]
fn what_is_learnt_does_not_depend_on_threads_or_order() {
    let params = |jobs| TfidfVectorizer::params().ngram_range(1, 2).n_jobs(Some(jobs)).max_features(Some(12));
    let one = fit(params(1));
    assert_eq!(one, fit(params(3)));
    let reversed: Vec<_> = TEXTS.iter().rev().collect();
    assert_eq!(one, params(2).check().unwrap().fit(&reversed).unwrap());
    let matrix = one.transform(&TEXTS, Some(1)).unwrap();
    assert_eq!(matrix, one.transform(&TEXTS, Some(4)).unwrap());
    assert_eq!((matrix.n_rows(), matrix.n_columns()), (5, 12));
}

#[test]
fn unusable_texts_and_parameters_are_named() {
    let params = TfidfVectorizer::params().check().unwrap();
    assert!(matches!(params.fit(&[""; 0]), Err(Error::NoRows)));
    assert!(matches!(params.fit(&["a", "<br>", ""]), Err(Error::NoTerms)));
    for (params, bad) in [
        (TfidfVectorizer::params().ngram_range(0, 1), "ngram_range"),
        (TfidfVectorizer::params().ngram_range(3, 2), "ngram_range"),
        (TfidfVectorizer::params().min_df(0), "min_df"),
        (TfidfVectorizer::params().max_df(f64::NAN), "max_df"),
        (TfidfVectorizer::params().max_features(Some(0)), "max_features"),
        (TfidfVectorizer::params().hash_buckets(Some(1 << 21)), "hash_buckets"),
    ] {
        assert!(matches!(params.check(), Err(Error::Parameter { name, .. }) if name == bad));
    }
}

#[test]
fn a_vectoriser_comes_back_from_bytes_and_a_tampered_one_is_refused() {
    for params in [TfidfVectorizer::params(), TfidfVectorizer::params().hash_buckets(Some(8))] {
        let vectorizer = fit(params);
        let decoded: TfidfVectorizer = postcard::from_bytes(&postcard::to_stdvec(&vectorizer).unwrap()).unwrap();
        assert_eq!(decoded, vectorizer);
        assert!(decoded.validate().is_ok());
    }
    let tampered = |change: fn(&mut TfidfVectorizer)| {
        let mut vectorizer = fit(TfidfVectorizer::params());
        change(&mut vectorizer);
        vectorizer.validate()
    };
    assert!(tampered(|v| v.analysis.ngram_range = (2, 1)).is_err());
    assert!(tampered(|v| v.analysis.ngram_range = (1, 255)).is_err());
    assert!(tampered(|v| v.idf[0] = f32::NAN).is_err());
    assert!(tampered(|v| v.idf[0] = f32::MAX).is_err());
    assert!(tampered(|v| v.idf[0] = 0.0).is_err());
    assert!(tampered(|v| v.idf.truncate(3)).is_err());
    assert!(tampered(|v| v.idf.clear()).is_err());
    assert!(tampered(|v| v.columns = Columns::Vocabulary(Vocabulary::new(vec!["a".to_owned()]))).is_err());
}
