//! The classifier of texts: how its parameters are read and how it is fitted.

use linfa::{DatasetBase, ParamGuard};
use ndarray::Array1;
use serde_json::{Map, Value};

use super::Rows;
use crate::algorithm::Error as SpecError;
use crate::algorithm::params::{Params, whole};
use crate::estimator::text as fitted;
use crate::sparse::CsrMatrix;
use crate::svm::{Calibration, LinearSvm, LinearSvmParams};
use crate::text::{Analyzer, TfidfParams, TfidfVectorizer};
use crate::{ClassWeight, Error, FeatureKind, Target, validation};

const NAME: &str = "text_classifier";

/// Most features of each vectoriser, when nothing else is said: what memory and artifacts can bear.
const MAX_TERMS: usize = 200_000;

/// Texts become terms, and terms probabilities. The defaults are those that did best on texts of products in five folds (see
/// the example `products`), where markup tells classes apart as words do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TextClassifier {
    /// The features that are texts.
    columns: Vec<usize>,
    /// Whose columns stand side by side: words, characters or both.
    terms: Vec<TfidfParams>,
    /// Texts a term must be in; if not given 2, or 1 where that leaves nothing.
    min_df: Option<usize>,
    svm: LinearSvmParams,
    calibration_folds: usize,
    class_weight: Option<ClassWeight>,
}

impl TextClassifier {
    pub fn from_spec(params: &Map<String, Value>, features: &[(String, FeatureKind)]) -> Result<Self, SpecError> {
        const KNOWN: &[&str] = &[
            "C",
            "analyzer",
            "calibration",
            "calibration_folds",
            "char_ngram_range",
            "class_weight",
            "lowercase",
            "max_df",
            "max_features",
            "max_iter",
            "min_df",
            "ngram_range",
            "strip_accents",
            "strip_html",
            "sublinear_tf",
            "tol",
        ];
        let given = Params::new(NAME, KNOWN, params)?;
        let columns: Vec<usize> = (0..features.len()).filter(|&at| features[at].1 == FeatureKind::Text).collect();
        if columns.is_empty() {
            return Err(SpecError::Features { algorithm: NAME, needs: "texts" });
        }
        let mut class_weight = Some(ClassWeight::Balanced);
        given.set_class_weight(&mut class_weight, |_, weight| weight)?;
        let mut min_df = None;
        given.set_count("min_df", &mut min_df, |_, count| Some(count))?;
        let mut calibration_folds = 4;
        given.set_count("calibration_folds", &mut calibration_folds, |_, folds| folds)?;
        let svm = svm(&given, calibration_folds, class_weight.clone())?;
        Ok(Self { columns, terms: terms(&given, params, min_df)?, min_df, svm, calibration_folds, class_weight })
    }

    pub fn fit(&self, rows: Rows<'_>, seed: u64) -> Result<fitted::TextClassifier, Error> {
        let Target::Classes { labels, n_classes } = rows.target else {
            return Err(Error::TaskUnsupported { algorithm: NAME, task: rows.target.task().name() });
        };
        let mut counts = vec![0_usize; *n_classes];
        labels.iter().for_each(|&label| counts[label] += 1);
        let frequencies = counts.iter().map(|count| *count as f64 / labels.len() as f64).collect();
        let texts = rows.table.joined(&self.columns);
        let vectorizers = self.fit_terms(&texts)?;
        let present: Vec<usize> = (0..*n_classes).filter(|class| counts[*class] > 0).collect();
        let separator = if present.len() > 1 {
            let mut matrices = vectorizers.iter().map(|vectorizer| vectorizer.transform(&texts, None));
            let first = matrices.next().ok_or(Error::NoTerms)??;
            let matrix = matrices.try_fold(first, |left, right| left.beside(&right?))?;
            Some(self.separate(matrix, labels, &present, rows, seed)?)
        } else {
            None
        };
        Ok(fitted::TextClassifier::new(self.columns.clone(), vectorizers, frequencies, separator))
    }

    /// Vectorisers that find no term are left out, as long as one finds some.
    fn fit_terms(&self, texts: &[String]) -> Result<Vec<TfidfVectorizer>, Error> {
        let fit = |min_df: usize| -> Result<Vec<TfidfVectorizer>, Error> {
            let mut fitted = Vec::with_capacity(self.terms.len());
            for terms in &self.terms {
                match terms.clone().min_df(min_df).check()?.fit(texts) {
                    Err(Error::NoTerms) => {}
                    vectorizer => fitted.push(vectorizer?),
                }
            }
            if fitted.is_empty() { Err(Error::NoTerms) } else { Ok(fitted) }
        };
        match fit(self.min_df.unwrap_or(2)) {
            Err(Error::NoTerms) if self.min_df.is_none() => fit(1),
            fitted => fitted,
        }
    }

    /// Tells the classes apart that have rows, which are numbered anew.
    fn separate(
        &self,
        matrix: CsrMatrix,
        labels: &Array1<usize>,
        present: &[usize],
        rows: Rows<'_>,
        seed: u64,
    ) -> Result<LinearSvm, Error> {
        let number = |class: usize| present.partition_point(|known| *known < class);
        let class_weight = match &self.class_weight {
            Some(ClassWeight::Given(weights)) => {
                let n_classes = rows.target.task().n_outputs();
                if let Some(class) = weights.keys().find(|class| **class >= n_classes) {
                    let got = format!("one of class {class}, and {n_classes} classes");
                    return Err(Error::Parameter {
                        name: "class_weight",
                        expected: "weights of classes that there are",
                        got,
                    });
                }
                let present = weights.iter().filter(|(class, _)| present.contains(class));
                Some(ClassWeight::Given(present.map(|(&class, &weight)| (number(class), weight)).collect()))
            }
            other => other.clone(),
        };
        let folds = match self.calibration_folds {
            0 => Vec::new(),
            folds => validation::folds(rows.target, rows.groups, folds, seed)?,
        };
        let params = self.svm.clone().class_weight(class_weight).n_classes(present.len()).seed(seed).check()?;
        params.fit_with_folds(&DatasetBase::new(matrix, labels.mapv(number)), &folds)
    }
}

fn svm(
    given: &Params<'_>,
    calibration_folds: usize,
    class_weight: Option<ClassWeight>,
) -> Result<LinearSvmParams, SpecError> {
    let mut params = LinearSvm::params().class_weight(class_weight).calibration_folds(calibration_folds);
    given.set_number("C", &mut params, LinearSvmParams::c)?;
    given.set_number("tol", &mut params, LinearSvmParams::tol)?;
    given.set_count("max_iter", &mut params, LinearSvmParams::max_iter)?;
    let calibration = given.choice("calibration", ["sigmoid", "temperature"], "\"sigmoid\" or \"temperature\"")?;
    params = params.calibration([Calibration::Sigmoid, Calibration::Temperature][calibration.unwrap_or(0)]);
    given.checked(params)
}

fn terms(given: &Params<'_>, map: &Map<String, Value>, min_df: Option<usize>) -> Result<Vec<TfidfParams>, SpecError> {
    let mut common = TfidfVectorizer::params()
        .strip_html(false)
        .sublinear_tf(true)
        .max_features(Some(MAX_TERMS))
        .min_df(min_df.unwrap_or(2));
    given.set_flag("lowercase", &mut common, TfidfParams::lowercase)?;
    given.set_flag("strip_accents", &mut common, TfidfParams::strip_accents)?;
    given.set_flag("strip_html", &mut common, TfidfParams::strip_html)?;
    given.set_flag("sublinear_tf", &mut common, TfidfParams::sublinear_tf)?;
    given.set_number("max_df", &mut common, TfidfParams::max_df)?;
    given.set_limit("max_features", &mut common, TfidfParams::max_features)?;
    let range = |name: &'static str, otherwise: (u8, u8)| match map.get(name) {
        None => Ok(otherwise),
        Some(value) => lengths(value).ok_or_else(|| given.wrong_type(name, "two lengths, the shorter first", value)),
    };
    let expected = "\"word\", \"char\", \"char_wb\" or \"both\"";
    let analyzer = given.choice("analyzer", ["word", "char", "char_wb", "both"], expected)?.unwrap_or(1);
    let words = |range: (u8, u8)| common.clone().analyzer(Analyzer::Word).ngram_range(range.0, range.1);
    let characters = |analyzer, range: (u8, u8)| common.clone().analyzer(analyzer).ngram_range(range.0, range.1);
    let terms = match analyzer {
        0 => vec![words(range("ngram_range", (1, 2))?)],
        1 => vec![characters(Analyzer::Char, range("ngram_range", (2, 5))?)],
        2 => vec![characters(Analyzer::CharWb, range("ngram_range", (2, 5))?)],
        _ => {
            vec![words(range("ngram_range", (1, 1))?), characters(Analyzer::CharWb, range("char_ngram_range", (2, 5))?)]
        }
    };
    if analyzer != 3 && map.contains_key("char_ngram_range") {
        let value = &map["char_ngram_range"];
        return Err(given.wrong_type("char_ngram_range", "left out unless `analyzer` is \"both\"", value));
    }
    terms.into_iter().map(|params| given.checked(params)).collect()
}

/// `[1, 2]`.
fn lengths(value: &Value) -> Option<(u8, u8)> {
    match value.as_array()?.as_slice() {
        [shortest, longest] => Some((u8::try_from(whole(shortest)?).ok()?, u8::try_from(whole(longest)?).ok()?)),
        _ => None,
    }
}
