use std::sync::Arc;

use linfa::traits::Fit;
use serde_json::json;

use super::*;
use crate::forest::RandomForest;
use crate::{Column, FeatureKind, Model, Table, test_data};

fn artifacts() -> Vec<Vec<u8>> {
    let dataset = test_data::gappy(40, 3);
    let regression = test_data::one_of_each_regression(&test_data::curve(40, 1));
    let models = test_data::one_of_each(&dataset).into_iter().chain(regression);
    models
        .map(Estimator::from)
        .chain(typed(30))
        .map(|estimator| encode(&estimator, &json!({"classes": ["a", "b"]})).unwrap())
        .collect()
}

/// An estimator of each kind over numbers, categories and texts.
fn typed(rows: usize) -> impl Iterator<Item = Estimator> {
    let (table, target) = test_data::mixed(rows, 1);
    test_data::one_of_each_learner().into_iter().map(move |learner| test_data::fitted(&learner, &table, &target))
}

/// Makes the trailer right again, as someone with ill intent would.
fn reseal(mut bytes: Vec<u8>) -> Vec<u8> {
    let content = bytes.len() - DIGEST;
    let digest = Sha256::digest(&bytes[..content]);
    bytes[content..].copy_from_slice(&digest);
    bytes
}

#[test]
fn models_come_back_with_their_metadata() {
    let metadata = json!({"b": [1, 2.5, null, {"z": "\"", "a": true}], "a": {"classes": ["setosa", "Größe"]}});
    let regressions = test_data::one_of_each_regression(&test_data::curve(200, 1));
    let models = test_data::one_of_each(&test_data::gappy(200, 3)).into_iter().chain(regressions);
    for estimator in models.map(Estimator::from).chain(typed(60)) {
        let (decoded, header) = decode(&encode(&estimator, &metadata).unwrap()).unwrap();
        assert_eq!(decoded, estimator);
        assert_eq!(header, metadata);
    }
}

#[test]
fn the_same_rows_and_seed_give_the_same_bytes_with_any_number_of_threads() {
    let dataset = test_data::gappy(200, 3);
    let bytes = |seed, jobs| {
        let model = RandomForest::params().seed(seed).n_jobs(Some(jobs)).n_estimators(9).fit(&dataset).unwrap();
        encode(&Model::RandomForest(model).into(), &json!({"b": 1, "a": 2})).unwrap()
    };
    assert_eq!(bytes(42, 1), bytes(42, 4));
    assert_ne!(bytes(42, 1), bytes(43, 1));
}

#[test]
fn the_header_is_canonical_json_that_a_person_can_read() {
    let bytes = &artifacts()[0];
    let header = r#"{"algorithm":"constant","format_version":3,"metadata":{"classes":["a","b"]}}"#;
    assert_eq!(&bytes[12..12 + header.len()], header.as_bytes());
}

/// Of the larger ones not every place, but a prime step, so that all fields are met.
fn step(bytes: &[u8]) -> usize {
    match bytes.len() {
        0..4_000 => 1,
        4_000..16_000 => 7,
        _ => 31,
    }
}

#[test]
fn every_changed_byte_and_every_cut_is_an_error() {
    for bytes in artifacts() {
        let step = step(&bytes);
        for place in (0..bytes.len()).step_by(step) {
            let mut changed = bytes.clone();
            changed[place] ^= 0x55;
            assert!(decode(&changed).is_err(), "byte {place}");
            assert!(decode(&bytes[..place]).is_err(), "cut at {place}");
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(decode(&longer).is_err());
    }
}

#[test]
fn resealed_bytes_never_panic_and_what_decodes_predicts() {
    for bytes in artifacts() {
        let step = step(&bytes);
        for place in (0..bytes.len() - DIGEST).step_by(step) {
            for flip in [0x01, 0x55, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[place] ^= flip;
                predict_if_decoded(&reseal(changed));
            }
            let mut cut = bytes[..place].to_vec();
            cut.extend_from_slice(&[0; DIGEST]);
            predict_if_decoded(&reseal(cut));
        }
    }
}

fn predict_if_decoded(bytes: &[u8]) {
    let Ok((estimator, _)) = decode(bytes) else { return };
    let outputs = estimator.outputs(&any(estimator.features())).unwrap();
    assert_eq!(outputs.dim(), (4, estimator.n_outputs()));
    let Some(model) = estimator.rows_model() else { return };
    let mut out = vec![0.0; model.n_outputs()];
    for value in [0.0, 3.0, f64::NAN, f64::INFINITY] {
        let row = vec![value; model.n_features()];
        model.outputs_into(&row, &mut out).unwrap();
        if !matches!(model, Model::LogisticRegression(_) | Model::LinearRegression(_)) {
            model.explainer().unwrap().contributions(&row).unwrap();
        }
    }
    assert_eq!(model.feature_importances().len(), model.n_features());
}

/// Four rows of such features.
fn any(features: &[FeatureKind]) -> Table {
    let text = |text: &str| Some(Arc::from(text));
    let column = |kind: &FeatureKind| match kind {
        FeatureKind::Number => Column::Number(vec![0.0, 3.0, f64::NAN, f64::INFINITY]),
        FeatureKind::Category | FeatureKind::Text => {
            Column::Text(vec![text("red"), text("A novel engine, a <b>garden</b>"), None, text("\u{10ffff}")])
        }
        FeatureKind::Image { side } => Column::Image { side: usize::from(*side), pixels: vec![None; 4] },
    };
    Table::new(4, features.iter().map(column).collect()).unwrap()
}

#[test]
fn foreign_future_and_mislabelled_bytes_are_named() {
    assert!(matches!(decode(b""), Err(Error::Magic)));
    assert!(matches!(decode(b"\x80\x04\x95 a pickle"), Err(Error::Magic)));
    assert!(matches!(decode(MAGIC), Err(Error::Truncated(8))));
    let replaced = |from: &str, to: &str| {
        let bytes = &artifacts()[0];
        let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        let mut bytes = bytes.clone();
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        decode(&reseal(bytes)).unwrap_err()
    };
    assert!(matches!(replaced(r#"version":3"#, r#"version":2"#), Error::Version(version) if version == "2"));
    assert!(matches!(replaced("constant", "konstant"), Error::Header(_)));
}

#[test]
fn a_huge_claimed_length_allocates_nothing() {
    let mut bytes = MAGIC.to_vec();
    let header = br#"{"algorithm":"random_forest","format_version":3,"metadata":null}"#;
    bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
    bytes.extend_from_slice(header);
    // One number, alone, tabular, one encoding of a number, and of it a forest of 1 feature, a classification of 2 classes,
    // that claims 2^56 trees.
    bytes.extend_from_slice(&[1, 0, 0, 0, 1, 0, 2, 1, 0, 2, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]);
    bytes.extend_from_slice(&[0; DIGEST]);
    assert!(matches!(decode(&reseal(bytes)), Err(Error::Body(_))));
}

#[test]
fn metadata_that_could_not_be_read_again_is_refused() {
    let model = &test_data::one_of_each(&test_data::gappy(40, 2)).remove(0).into();
    let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let bytes = encode(model, &nested(90)).unwrap();
    assert_eq!(decode(&bytes).unwrap().1, nested(90));
    assert!(matches!(encode(model, &nested(200)), Err(Error::Header(_))));
}
