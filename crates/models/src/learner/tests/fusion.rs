use super::*;

fn fusion(extra: Value) -> Learner {
    let mut params = json!({
        "members": [
            {"algorithm": "text_classifier", "params": {"analyzer": "word"}},
            {"algorithm": "random_forest", "params": {"n_estimators": 10, "min_samples_leaf": 5}},
        ],
    });
    params.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    learner("late_fusion", &params)
}

#[test]
fn both_members_together_know_more_than_either() {
    let ((table, target), (unseen, truth)) = (mixed(240, 1), mixed(300, 2));
    let loss = |learner: &Learner| {
        let estimator = fitted(learner, &table, &target);
        metrics::log_loss(&labels(&truth), estimator.outputs(&unseen).unwrap().view()).unwrap()
    };
    let text = loss(&learner("text_classifier", &json!({"analyzer": "word"})));
    let forest = loss(&learner("random_forest", &json!({"n_estimators": 10, "min_samples_leaf": 5})));
    for extra in [json!({}), json!({"weights": [1, 1]}), json!({"mean": "geometric"}), json!({"mean": "arithmetic"})] {
        let fused = loss(&fusion(extra));
        assert!(fused < text.min(forest), "{fused} of {text} and {forest}");
    }
}

#[test]
fn weights_are_fitted_to_what_members_are_worth() {
    let (table, target) = mixed(150, 1);
    let params = json!({
        "members": [{"algorithm": "constant"}, {"algorithm": "text_classifier", "params": {"analyzer": "word"}}],
        "mean": "arithmetic",
    });
    let estimator = fitted(&learner("late_fusion", &params), &table, &target);
    let members = estimator.members();
    assert_eq!((members[0].0, members[1].0), ("constant", "text_classifier"));
    assert!(members[1].1 > 0.7 && (members[0].1 + members[1].1 - 1.0).abs() < 1e-12, "{members:?}");
    let given = fitted(&fusion(json!({"weights": [3, 1]})), &table, &target);
    assert_eq!(given.members(), [("text_classifier", 0.75), ("random_forest", 0.25)]);
}

#[test]
fn a_member_with_nothing_to_go_by_is_left_out() {
    let (table, target) = mixed(150, 1);
    let fused = fitted(&fusion(json!({"weights": [0.5, 0.5]})), &table, &target);
    let forest =
        fitted(&learner("random_forest", &json!({"n_estimators": 10, "min_samples_leaf": 5})), &table, &target);
    let row = |title: Option<&str>| {
        let texts = vec![title.map(Arc::from)];
        let columns = vec![Column::Number(vec![3.0]), Column::Text(vec![Some(Arc::from("red"))]), Column::Text(texts)];
        Table::new(1, columns).unwrap()
    };
    let near = |a: &ndarray::Array2<f64>, b: &ndarray::Array2<f64>| (a - b).iter().all(|d| d.abs() < 1e-12);
    let outputs = |estimator: &Estimator, title| estimator.outputs(&row(title)).unwrap();
    assert!(near(&outputs(&fused, None), &outputs(&forest, None)));
    assert!(!near(&outputs(&fused, Some("engine")), &outputs(&forest, Some("engine"))));
    assert_eq!(fused.informed(&row(None)).unwrap(), [true]);
}

#[test]
fn folds_and_members_are_told_and_a_break_leaves_equal_weights() {
    let (table, target) = mixed(60, 1);
    let mut told = Vec::new();
    let learner = fusion(json!({"folds": 3}));
    let fit = |learner: &Learner, observe: &mut dyn FnMut(&Progress) -> ControlFlow<()>| {
        learner.fit(&table, &target, 7, observe).unwrap()
    };
    fit(&learner, &mut |progress| {
        told.push((progress.step.clone(), progress.number, progress.of));
        ControlFlow::Continue(())
    });
    let expected = [("fold", 1, 3), ("fold", 2, 3), ("fold", 3, 3), ("member", 1, 2), ("member", 2, 2)];
    assert_eq!(told, expected.map(|(step, number, of)| (step.to_owned(), number, Some(of))));
    let broken = fit(&learner, &mut |_| ControlFlow::Break(()));
    assert_eq!(broken.members().iter().map(|member| member.1).collect::<Vec<_>>(), [0.5, 0.5]);
}

#[test]
fn groups_and_few_rows_are_heeded() {
    let (table, target) = mixed(60, 1);
    let learner = fusion(json!({}));
    let fit = |table: &Table, target: &Target, groups: Option<&[usize]>| {
        learner.fit_grouped(table, target, groups, 7, &mut |_| ControlFlow::Continue(())).unwrap()
    };
    let one_group = fit(&table, &target, Some(&[0; 60]));
    assert_eq!(one_group.members()[0].1, 0.5, "no group can be held out");
    let groups: Vec<usize> = (0..60).map(|row| row / 10).collect();
    assert_eq!(fit(&table, &target, Some(&groups)), fit(&table, &target, Some(&groups)));
}

#[test]
fn wrong_members_and_weights_are_named_with_their_place() {
    let of = |params: Value| message("late_fusion", &params, &mixed_features());
    assert!(of(json!({})).contains("`members` of `late_fusion` must be a list of 1 to 8 entries"));
    let member = |member: Value| of(json!({"members": [{"algorithm": "constant"}, member]}));
    assert!(member(json!({"algorithm": "ridgy"})).starts_with("member 2: there is no algorithm `ridgy`"));
    assert!(member(json!({"algorithm": "late_fusion"})).starts_with("member 2: `late_fusion` cannot be"));
    assert!(member(json!({"params": {}})).starts_with("member 2: parameter `members`"));
    assert!(member(json!({"algorithm": "constant", "weight": 1})).contains("an object of `algorithm`"));
    let weights = |weights: Value| of(json!({"members": [{"algorithm": "constant"}], "weights": weights}));
    for wrong in [json!([0]), json!([1, 1]), json!([-1]), json!("even"), json!(["1"])] {
        assert!(weights(wrong).contains("\"fitted\", or a number for each member, 0 or more, not all 0"));
    }
    assert!(of(json!({"members": [{"algorithm": "constant"}], "folds": 1})).contains("a whole number of 2 to 20"));
    let reason = learner("late_fusion", &json!({"members": [{"algorithm": "ridge"}]}));
    let reason = reason.supports(Task::Classification { n_classes: 2 }).unwrap_err();
    assert_eq!(reason, "a member of `late_fusion` predicts numbers, and the label has classes");
}

#[test]
fn a_member_that_cannot_be_fitted_is_named() {
    let columns = vec![Column::Number(vec![1.0; 4]), Column::Text(vec![None; 4]), Column::Text(vec![None; 4])];
    let table = Table::new(4, columns).unwrap();
    let target = Target::Classes { labels: array![0, 1, 0, 1], n_classes: 2 };
    let error = fusion(json!({})).fit(&table, &target, 0, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().starts_with("member 1 (`text_classifier`) of the fusion: no term is left"), "{error}");
}
