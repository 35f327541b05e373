//! Classifiers of images over tables.

use super::*;

const SIDE: usize = 16;

fn features() -> Vec<(String, FeatureKind)> {
    vec![("width".to_owned(), FeatureKind::Number), ("photo".to_owned(), FeatureKind::Image { side: SIDE as u16 })]
}

/// Reddish and bluish images; every seventh is missing.
fn photos(rows: usize, seed: usize) -> (Table, Target) {
    let image = |row: usize| -> Arc<[u8]> {
        let noise = |i: usize| ((row * 31 + i * 17 + seed * 7) % 40) as u8;
        let colour = |i: usize| match (row.is_multiple_of(2), i % 3) {
            (true, 0) | (false, 2) => 200,
            _ => 60,
        };
        (0..SIDE * SIDE * 3).map(|i| colour(i) + noise(i)).collect()
    };
    let pixels = (0..rows).map(|row| (!row.is_multiple_of(7)).then(|| image(row))).collect();
    let table = Table::new(rows, vec![Column::Number(vec![0.0; rows]), Column::Image { side: SIDE, pixels }]).unwrap();
    (table, Target::Classes { labels: (0..rows).map(|row| row % 2).collect(), n_classes: 2 })
}

fn all() -> [Learner; 2] {
    let of = |name: &str, params: Value| Learner::from_spec(name, params.as_object().unwrap(), &features()).unwrap();
    [
        of("image_classifier", json!({})),
        of("cnn", json!({ "epochs": 6, "patience": null, "batch_size": 8, "rotation": 0, "zoom": 0, "shift": 0 })),
    ]
}

#[test]
fn images_teach_a_model_and_a_row_without_one_gets_the_frequencies() {
    let ((table, target), (unseen, truth)) = (photos(70, 1), photos(42, 2));
    for learner in all() {
        let mut epochs = 0;
        let fitted = learner
            .fit(&table, &target, 3, &mut |step| {
                epochs += usize::from(step.step == "epoch" && step.metrics.contains_key("train_loss"));
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(epochs, if learner.algorithm() == "cnn" { 6 } else { 0 });
        let answers = fitted.outputs(&unseen).unwrap();
        let right = (0..42).filter(|row| row % 7 > 0).filter(|&row| answers[[row, row % 2]] > 0.5).count();
        assert!(right >= 34, "{right} of 36 by {}", learner.algorithm());
        assert_eq!(answers.row(7).to_vec(), [0.5, 0.5]);
        assert_eq!(fitted.informed(&unseen).unwrap().iter().filter(|informed| **informed).count(), 36);
        let one = fitted.outputs(&unseen.select(&[1])).unwrap();
        assert_eq!(one.row(0), answers.row(1));
        assert_eq!(truth.len(), 42);
    }
}

#[test]
fn the_same_rows_and_seed_give_the_same_bytes_and_these_come_back() {
    let (table, target) = photos(40, 1);
    for learner in all() {
        let fitted = fitted(&learner, &table, &target);
        let bytes = crate::artifact::encode(&fitted, &Value::Null).unwrap();
        assert_eq!(bytes, crate::artifact::encode(&super::fitted(&learner, &table, &target), &Value::Null).unwrap());
        let (decoded, _) = crate::artifact::decode(&bytes).unwrap();
        assert_eq!(decoded, fitted);
        // A truncated or changed artifact is an error, never a network that is asked.
        assert!(crate::artifact::decode(&bytes[..bytes.len() / 2]).is_err());
    }
}

/// The rows, those of these numbers with other pixels.
fn repainted(table: &Table, rows: &[usize]) -> Table {
    let [numbers, Column::Image { side, pixels }] = table.columns() else { panic!() };
    let mut pixels = pixels.clone();
    for &row in rows {
        pixels[row] = pixels[row].as_ref().map(|pixels| pixels.iter().rev().copied().collect());
    }
    Table::new(table.rows(), vec![numbers.clone(), Column::Image { side: *side, pixels }]).unwrap()
}

#[test]
fn early_stopping_of_a_network_holds_out_whole_groups() {
    let (table, target) = photos(70, 1);
    let Target::Classes { labels, .. } = &target else { panic!() };
    let params = json!({ "epochs": 3, "batch_size": 8, "validation_fraction": 0.25 });
    let learner = Learner::from_spec("cnn", params.as_object().unwrap(), &features()).unwrap();
    let fit = |table: &Table, groups: &[usize]| {
        let mut last = None;
        let fitted = learner.fit_grouped(table, &target, Some(groups), 3, &mut |step| {
            last = step.metrics.get("validation_loss").copied();
            ControlFlow::Continue(())
        });
        (fitted.unwrap(), last)
    };
    let groups: Vec<usize> = (0..70).map(|row| row / 5).collect();
    let (first, score) = fit(&table, &groups);
    // Rows without an image take no part.
    let seen: Vec<usize> = (0..70).filter(|row| row % 7 > 0).collect();
    let of_seen = |values: &[usize]| seen.iter().map(|&row| values[row]).collect::<Vec<_>>();
    let parts =
        crate::split::stratified_group_train_test(&of_seen(&labels.to_vec()), &of_seen(&groups), 0.25, 3).unwrap();
    let held_out: Vec<usize> = parts.test.iter().map(|&place| seen[place]).collect();
    assert!((10..20).contains(&held_out.len()), "{held_out:?}");
    // Other pixels there change what they score, and nothing that is learnt.
    let (second, other) = fit(&repainted(&table, &held_out), &groups);
    assert!(first == second && score.is_some() && score != other, "{score:?} {other:?}");
    assert_ne!(first, fit(&repainted(&table, &[seen[parts.train[0]]]), &groups).0);
    // Nothing can be held out of one group.
    assert_eq!(fit(&table, &[0; 70]).1, None);
}

#[cfg(not(feature = "gpu"))]
#[test]
fn a_network_of_a_graphics_card_is_read_by_every_build_and_trained_by_one_that_knows_it() {
    let params = json!({ "device": "gpu" });
    let learner = Learner::from_spec("cnn", params.as_object().unwrap(), &features()).unwrap();
    let (table, target) = photos(14, 1);
    let error = learner.fit(&table, &target, 1, &mut |_| ControlFlow::Continue(())).unwrap_err().to_string();
    assert!(error.contains("cargo build --release --features gpu"), "{error}");
}

#[test]
fn what_is_wrong_with_the_parameters_or_features_is_said() {
    let numbers = [("x".to_owned(), FeatureKind::Number)];
    assert!(message("cnn", &json!({}), &numbers).contains("an image"));
    assert!(message("cnn", &json!({ "epoch": 3 }), &features()).contains("did you mean `epochs`"));
    assert!(message("cnn", &json!({ "epochs": "many" }), &features()).contains("cnn"));
    assert!(message("cnn", &json!({ "dropout": 1.5 }), &features()).contains("dropout"));
    assert!(message("cnn", &json!({ "device": "tpu" }), &features()).contains("`cpu` or `gpu`"));
    assert!(message("image_classifier", &json!({ "estimator": "ridge" }), &features()).contains("of classes"));
    let (table, target) = photos(14, 1);
    let none = Table::new(14, vec![table.columns()[0].clone(), Column::Image { side: SIDE, pixels: vec![None; 14] }]);
    let error = all()[0].fit(&none.unwrap(), &target, 1, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().contains("no row has an image"), "{error}");
}
