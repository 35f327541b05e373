use super::*;

const CLASSES: [&str; 3] = ["a novel for the reader", "the engine and its brake", "soil of the garden"];

fn texts(texts: &[Option<&str>]) -> Table {
    Table::new(texts.len(), vec![Column::Text(texts.iter().map(|text| text.map(Arc::from)).collect())]).unwrap()
}

fn classifier(params: &Value) -> Learner {
    let features = [("title".to_owned(), FeatureKind::Text)];
    Learner::from_spec("text_classifier", params.as_object().unwrap(), &features).unwrap()
}

fn classes(labels: &[usize], n_classes: usize) -> Target {
    Target::Classes { labels: Array1::from(labels.to_vec()), n_classes }
}

#[test]
fn every_analyzer_tells_the_classes_apart() {
    let labels: Vec<usize> = (0..30).map(|row| row % 3).collect();
    let table = texts(&labels.iter().map(|label| Some(CLASSES[*label])).collect::<Vec<_>>());
    for analyzer in ["word", "char", "char_wb", "both"] {
        let estimator = fitted(&classifier(&json!({"analyzer": analyzer})), &table, &classes(&labels, 3));
        let asked = texts(&[Some("brake and ENGINE"), Some("reader's novel"), Some("gardens' soil")]);
        assert_eq!(estimator.classes(&asked).unwrap(), array![1, 0, 2], "{analyzer}");
    }
}

#[test]
fn classes_without_a_row_have_no_probability() {
    let labels: Vec<usize> = (0..20).map(|row| [1, 4][row % 2]).collect();
    let table = texts(&labels.iter().map(|label| Some(CLASSES[label / 4])).collect::<Vec<_>>());
    for params in [json!({}), json!({"class_weight": {"1": 2, "4": 1, "5": 3}}), json!({"class_weight": "balanced"})] {
        let estimator = fitted(&classifier(&params), &table, &classes(&labels, 6));
        let proba = estimator.outputs(&texts(&[Some("the brake"), Some("novel"), None])).unwrap();
        for row in proba.rows() {
            assert_eq!([row[0], row[2], row[3], row[5]], [0.0; 4]);
            assert!((row[1] + row[4] - 1.0).abs() < 1e-12);
        }
        assert!(proba[(0, 4)] > proba[(0, 1)] && proba[(1, 1)] > proba[(1, 4)]);
    }
    let wrong = classifier(&json!({"class_weight": {"6": 2}}));
    let error = wrong.fit(&table, &classes(&labels, 6), 0, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().contains("one of class 6, and 6 classes"), "{error}");
}

#[test]
fn one_class_alone_is_certain() {
    let estimator = fitted(&classifier(&json!({})), &texts(&[Some("a novel"); 3]), &classes(&[2; 3], 4));
    assert_eq!(
        estimator.outputs(&texts(&[Some("novel"), None])).unwrap(),
        array![[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
    );
}

#[test]
fn texts_without_a_known_term_are_answered_by_the_frequencies_and_say_so() {
    let labels = [0, 0, 0, 1, 1, 1, 0, 0];
    let table = texts(&labels.map(|label| Some(CLASSES[label])));
    let estimator = fitted(&classifier(&json!({"analyzer": "word"})), &table, &classes(&labels, 2));
    let asked = texts(&[Some("xylophone"), Some("novel"), None, Some("")]);
    assert_eq!(estimator.informed(&asked).unwrap(), [false, true, false, false]);
    let proba = estimator.outputs(&asked).unwrap();
    for row in [0, 2, 3] {
        assert_eq!(proba.row(row), array![0.625, 0.375]);
    }
    assert!(proba[(1, 0)] > 0.625);
}

#[test]
fn all_texts_of_a_row_are_read() {
    let features = ["title", "text"].map(|name| (name.to_owned(), FeatureKind::Text));
    let learner = Learner::from_spec("text_classifier", &Map::new(), &features).unwrap();
    let labels: Vec<usize> = (0..20).map(|row| row % 2).collect();
    let column = |of: usize| {
        // The first column tells of even rows only, the second of odd ones.
        let text = |&label: &usize| (label == of).then(|| Arc::from(CLASSES[label]));
        Column::Text(labels.iter().map(text).collect())
    };
    let table = Table::new(20, vec![column(0), column(1)]).unwrap();
    let estimator = fitted(&learner, &table, &classes(&labels, 2));
    assert_eq!(estimator.classes(&table).unwrap().to_vec(), labels);
}

#[test]
fn few_texts_that_share_no_term_are_learnt_unless_a_frequency_is_asked_for() {
    let table = texts(&[Some("novel"), Some("brake")]);
    let fit =
        |params: &Value| classifier(params).fit(&table, &classes(&[0, 1], 2), 0, &mut |_| ControlFlow::Continue(()));
    assert_eq!(fit(&json!({"analyzer": "word"})).unwrap().classes(&table).unwrap(), array![0, 1]);
    assert!(matches!(fit(&json!({"analyzer": "word", "min_df": 2})), Err(Error::NoTerms)));
    let empty =
        classifier(&json!({})).fit(&texts(&[None, None]), &classes(&[0, 1], 2), 0, &mut |_| ControlFlow::Continue(()));
    assert!(matches!(empty, Err(Error::NoTerms)));
}

#[test]
fn groups_decide_what_probabilities_are_calibrated_on() {
    let (table, target) = mixed(60, 1);
    let learner = learner("text_classifier", &json!({}));
    let fit = |groups: Option<&[usize]>| {
        learner.fit_grouped(&table, &target, groups, 7, &mut |_| ControlFlow::Continue(())).unwrap()
    };
    let groups: Vec<usize> = (0..60).map(|row| row / 10).collect();
    assert_ne!(fit(Some(&groups)), fit(None));
    assert_eq!(fit(Some(&groups)), fit(Some(&groups)));
    // One group alone leaves nothing to calibrate on, and is no error.
    assert_eq!(fit(Some(&[3; 60])).n_outputs(), 3);
}

#[test]
fn wrong_parameters_are_named() {
    let features = [("title".to_owned(), FeatureKind::Text)];
    let of = |params: Value| message("text_classifier", &params, &features);
    assert_eq!(
        of(json!({"analyzer": "words"})),
        "parameter `analyzer` of `text_classifier` must be \"word\", \"char\", \"char_wb\" or \"both\", got \"words\""
    );
    assert!(of(json!({"ngram_range": [2]})).contains("two lengths, the shorter first"));
    assert!(of(json!({"ngram_range": [3, 2]})).contains("two lengths of 1 to 16"));
    assert!(of(json!({"C": 0})).contains("`C` must be above 0"));
    assert!(of(json!({"min_df": 0})).contains("`min_df` must be at least 1"));
    assert!(of(json!({"calibration_folds": 1})).contains("0 or between 2 and 20"));
    assert!(of(json!({"analyzer": "word", "char_ngram_range": [2, 3]})).contains("unless `analyzer` is \"both\""));
    assert!(of(json!({"sublinear": true})).contains("did you mean `sublinear_tf`?"));
}
