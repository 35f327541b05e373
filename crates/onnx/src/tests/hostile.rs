//! Bytes from elsewhere may be anything.

use driftmill_models::Table;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::round_trip::{fitted, names, one_of_each, records};
use crate::{Error, export, import};

/// An import either fails or gives what can be asked.
fn is_safe(bytes: &[u8]) {
    if let Ok(imported) = import(bytes) {
        let width = imported.estimator.features().len();
        let rows = records(2 * width);
        if let Ok(rows) = rows.to_shape((6, width)) {
            imported.estimator.outputs(&Table::of_numbers(rows.view())).unwrap();
        }
    }
}

#[test]
fn files_that_are_cut_off_are_refused_or_safe() {
    let estimator = fitted("gradient_boosting", &json!({"n_estimators": 2, "max_leaf_nodes": 4}), 3);
    let bytes = export(&estimator, &names(&estimator)).unwrap();
    (0..bytes.len()).for_each(|length| is_safe(&bytes[..length]));
}

#[test]
fn changed_bytes_are_refused_or_safe() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for estimator in one_of_each() {
        let bytes = export(&estimator, &names(&estimator)).unwrap();
        for _ in 0..400 {
            let mut changed = bytes.clone();
            for _ in 0..rng.random_range(1..4) {
                let place = rng.random_range(0..changed.len());
                changed[place] = match rng.random_range(0..3) {
                    0 => rng.random(),
                    1 => changed[place].wrapping_add(1),
                    _ => changed[place] ^ (1 << rng.random_range(0..8)),
                };
            }
            is_safe(&changed);
        }
    }
}

#[test]
fn other_bytes_are_no_model() {
    for bytes in [&b""[..], b"not a model", b"DMMODEL1", &[0xff; 64], b"<html></html>"] {
        assert!(matches!(import(bytes), Err(Error::Decode(_))), "{bytes:?}");
    }
}

#[test]
fn a_file_of_many_empty_messages_is_refused_before_it_is_read() {
    // A graph (field 7) of empty nodes (field 1).
    let nodes = [0x0a, 0x00].repeat(100_000);
    let mut bytes = vec![0x3a, 0xc0, 0x9a, 0x0c];
    bytes.extend(nodes);
    let text = import(&bytes).unwrap_err().to_string();
    assert_eq!(text, "the ONNX file has more nodes, attributes and tensors, the limit is 65536");
}
