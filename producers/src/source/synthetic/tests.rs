use driftmill_schemas::pipeline::{Loaded, load};

use super::*;

mod made;

fn pipeline(name: &str) -> Loaded {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../pipelines");
    load(&folder.join(name).join("pipeline.yaml")).unwrap()
}

fn declared(loaded: &Loaded) -> SyntheticSource {
    loaded.pipeline.sources.iter().find_map(|source| source.synthetic.clone()).unwrap()
}

fn open(loaded: &Loaded, source: &SyntheticSource, sequence: u64) -> Result<Generator, Error> {
    let position = Position { sequence, ..Position::default() };
    Generator::open("s", source, &loaded.schema, &loaded.pipeline.label, position)
}

fn records(loaded: &Loaded, source: &SyntheticSource, from: u64, count: usize) -> Vec<Record> {
    let mut generator = open(loaded, source, from).unwrap();
    std::iter::from_fn(|| generator.next().unwrap())
        .take(count)
        .map(|item| match item.content {
            Content::Record(record) => record,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn column(loaded: &Loaded, records: &[Record], field: &str) -> Vec<Option<f64>> {
    let index = loaded.schema.index(field).unwrap();
    let number = |value: &Value| match value {
        Value::Double(number) => Some(*number),
        Value::Long(number) => Some(*number as f64),
        _ => None,
    };
    records.iter().map(|record| number(&record.values[index])).collect()
}

fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.into_iter().collect();
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn going_on_anywhere_gives_what_was_not_interrupted() {
    for name in ["iris", "loan"] {
        let loaded = pipeline(name);
        let source = declared(&loaded);
        let whole = records(&loaded, &source, 0, 700);
        for from in [1, 2, 99, 599, 600, 601, 699] {
            assert_eq!(records(&loaded, &source, from, 700 - from as usize), whole[from as usize..]);
        }
        assert_ne!(whole[0], whole[1]);
        let other = SyntheticSource { seed: source.seed + 1, ..source };
        assert_ne!(records(&loaded, &other, 0, 700), whole);
    }
}

#[test]
fn it_ends_after_its_rows_and_counts_them() {
    let loaded = pipeline("loan");
    let source = SyntheticSource { rows: Some(5), ..declared(&loaded) };
    let ids: Vec<_> = column(&loaded, &records(&loaded, &source, 0, 100), "id").into_iter().flatten().collect();
    assert_eq!(ids, [0.0, 1.0, 2.0, 3.0, 4.0]);
    assert_eq!(open(&loaded, &source, 0).unwrap().total_hint(), Some(Total::Rows(5)));
    assert_eq!(open(&loaded, &SyntheticSource { rows: None, ..source }, 0).unwrap().total_hint(), None);
}

#[test]
fn gaps_and_classes_come_as_often_as_declared() {
    let loaded = pipeline("loan");
    let source = SyntheticSource { rows: None, ..declared(&loaded) };
    let records = records(&loaded, &source, 0, 20_000);
    let gaps = column(&loaded, &records, "age").iter().filter(|age| age.is_none()).count() as f64 / 20_000.0;
    assert!((gaps - 0.05).abs() < 0.006, "{gaps}");
    let approved = mean(column(&loaded, &records, "loan_approval").into_iter().flatten());
    assert!((approved - 0.51).abs() < 0.014, "{approved}");
    let durations: Vec<f64> = column(&loaded, &records, "loan_duration_years").into_iter().flatten().collect();
    let (least, most) =
        (durations.iter().copied().fold(f64::MAX, f64::min), durations.iter().copied().fold(f64::MIN, f64::max));
    assert_eq!((durations.len(), least, most), (20_000, 1.0, 29.0));
}

#[test]
fn a_signal_makes_the_label_depend_on_the_fields_and_without_one_it_does_not() {
    let loaded = pipeline("loan");
    let difference = |signal: f64| {
        let mut source = SyntheticSource { rows: None, ..declared(&loaded) };
        source.outcome.as_mut().unwrap().signal = signal;
        let records = records(&loaded, &source, 0, 20_000);
        let labels = column(&loaded, &records, "loan_approval");
        let scores = column(&loaded, &records, "credit_score");
        let of = |wanted: f64| {
            mean(
                labels.iter().zip(&scores).filter(|(label, _)| **label == Some(wanted)).filter_map(|(_, score)| *score),
            )
        };
        of(1.0) - of(0.0)
    };
    assert!(difference(0.0).abs() < 6.0, "{}", difference(0.0));
    assert!(difference(1.0) > 100.0, "{}", difference(1.0));
    assert!(difference(-1.0) < -100.0, "{}", difference(-1.0));
}

#[test]
fn drift_begins_at_its_row_and_leaves_other_fields_as_they_were() {
    let loaded = pipeline("iris");
    let source = declared(&loaded);
    let calm = SyntheticSource { drift: Vec::new(), ..source.clone() };
    let (drifting, calm) = (records(&loaded, &source, 0, 1_000), records(&loaded, &calm, 0, 1_000));
    assert_eq!(drifting[..600], calm[..600]);
    assert_eq!(column(&loaded, &drifting, "petal_width"), column(&loaded, &calm, "petal_width"));
    let species = loaded.schema.index("species").unwrap();
    assert!(drifting.iter().zip(&calm).all(|(a, b)| a.values[species] == b.values[species]));
    let moved = column(&loaded, &drifting, "petal_length").into_iter().zip(column(&loaded, &calm, "petal_length"));
    for (row, (with, without)) in moved.enumerate().skip(600) {
        // Rounded to one decimal before and after; small values are clamped.
        assert!((with.unwrap() - without.unwrap() - 1.5).abs() < 0.11, "row {row}: {with:?} {without:?}");
    }
}

#[test]
fn values_are_rounded_and_clamped() {
    let loaded = pipeline("iris");
    let widths = column(&loaded, &records(&loaded, &declared(&loaded), 0, 2_000), "petal_width");
    for width in widths.into_iter().flatten() {
        assert!((0.1..=6.0).contains(&width) && ((width * 10.0).round() - width * 10.0).abs() < 1e-9, "{width}");
    }
}

#[test]
fn the_first_record_of_a_seed_stays_what_it_is() {
    // Positions of a stream that was sent in part refer to these numbers: an update that changes them must be noticed.
    let loaded = pipeline("iris");
    let first = &records(&loaded, &declared(&loaded), 0, 1)[0];
    let shown: Vec<String> = first.values.iter().map(|value| format!("{value:?}")).collect();
    assert_eq!(shown.join(" "), r#"Double(4.8) Double(3.8) Double(1.2) Double(0.3) String("setosa")"#);
}

fn normal(std: f64) -> Option<Distribution> {
    Some(Distribution::Normal { mean: 0.0, std })
}

#[test]
fn declarations_that_cannot_work_are_refused_with_the_field() {
    type Change = dyn Fn(&mut SyntheticSource);
    let loaded = pipeline("loan");
    let fault = |change: &Change| {
        let mut source = declared(&loaded);
        change(&mut source);
        match open(&loaded, &source, 0) {
            Ok(_) => panic!("it was opened"),
            Err(error) => error.to_string(),
        }
    };
    let cases: [(&Change, &str); 8] = [
        (&|s| drop(s.fields.remove("loan_duration_years")), "`loan_duration_years`"),
        (&|s| s.fields.get_mut("age").unwrap().draw = normal(-1.0), "`age`"),
        (&|s| s.fields.get_mut("age").unwrap().draw = normal(f64::NAN), "`age`"),
        (&|s| s.fields.get_mut("age").unwrap().clamp = Some((2.0, 1.0)), "`clamp"),
        (&|s| s.fields.get_mut("had_past_default").unwrap().missing = 0.1, "`missing`"),
        (&|s| drop(s.fields.insert("id".to_owned(), s.fields["age"].clone())), "`id`"),
        (&|s| s.outcome.as_mut().unwrap().depends_on = [("id".to_owned(), 1.0)].into(), "`depends_on: id`"),
        (&|s| s.outcome.as_mut().unwrap().weights = vec![0.0, 0.0], "weight"),
    ];
    for (change, part) in cases {
        let text = fault(change);
        assert!(text.contains(part), "{part}: {text}");
    }
}
