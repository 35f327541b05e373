//! Texts, images and time series.

use std::collections::BTreeSet;

use super::*;
use crate::source::images_format;

const SCHEMA: &str = r#"{"type":"record","name":"r","fields":[
    {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},{"name":"region","type":"string"},
    {"name":"rate","type":["null","double"]},{"name":"title","type":"string"},{"name":"image","type":["null","bytes"]},
    {"name":"hash","type":"string"},{"name":"path","type":"string"},{"name":"y","type":"string"}]}"#;
const PIPELINE: &str = r#"
version: 1
name: t
schema: record.avsc
sources:
  - name: s
    synthetic:
      seed: 3
      outcome: { field: y, weights: [1, 1] }
      fields:
        at: { draw: { sequence: { from: 1700000000000, step: 86400000, repeat: 2 } } }
        region: { draw: { cycle: { of: [EU, US] } } }
        rate: { draw: { walk: { means: [100, 1000], spread: 0.1, reversion: 0.2 } }, decimals: 1, missing: 0.1 }
        title:
          by_class:
            a: { words: { of: [red, round], among: [the, of], share: 0.6, count: [2, 5], template: "<p>{}</p>{}" } }
            b: { words: { of: [blue], count: [3, 3] } }
        image:
          by_class:
            a: { image: { width: 20, height: 16, ground: [20, 120, 20], noise: 9, shapes: [{ shape: disc, colour: [250, 220, 0], size: [0.5, 0.9], count: [1, 2] }] } }
            b: { image: { width: 20, height: 16, ground: [20, 120, 20], noise: 9 } }
        hash: { draw: { sha256: { of: image } } }
        path: { draw: { text: { template: "made/{row}.png" } } }
features: [{ name: rate }]
label: { field: y, classes: [a, b] }
training: { algorithm: constant }
"#;

fn world(change: &str, to: &str) -> Loaded {
    let text = PIPELINE.replace(change, to);
    let parsed = driftmill_schemas::pipeline::parse(&text, std::path::Path::new("p.yaml"), |_| Ok(SCHEMA.to_owned()));
    let (pipeline, schema, places) = parsed.unwrap();
    Loaded { pipeline, schema, places, folder: std::path::PathBuf::new() }
}

fn of(loaded: &Loaded, from: u64, count: usize) -> Vec<Vec<Value>> {
    records(loaded, &declared(loaded), from, count).into_iter().map(|record| record.values).collect()
}

#[test]
fn what_is_made_goes_on_anywhere_and_is_another_with_another_seed() {
    let loaded = world("", "");
    let whole = of(&loaded, 0, 60);
    for from in [1, 17, 59] {
        assert_eq!(of(&loaded, from, 60 - from as usize), whole[from as usize..]);
    }
    assert_ne!(of(&world("seed: 3", "seed: 4"), 0, 60), whole);
}

#[test]
fn sequences_cycles_and_texts_follow_the_number_of_the_record() {
    let loaded = world("", "");
    let rows = of(&loaded, 0, 4);
    let at: Vec<_> = rows.iter().map(|row| row[0].to_text().unwrap()).collect();
    assert_eq!(at, ["1700000000000", "1700000000000", "1700086400000", "1700086400000"]);
    let regions: Vec<_> = rows.iter().map(|row| row[1].to_text().unwrap()).collect();
    assert_eq!(regions, ["EU", "US", "EU", "US"]);
    assert_eq!(rows[3][6], Value::String("made/3.png".to_owned()));
}

#[test]
fn a_walk_stays_around_its_mean_and_each_step_is_near_the_last() {
    let loaded = world("missing: 0.1", "missing: 0");
    let rates = column(&loaded, &records(&loaded, &declared(&loaded), 0, 8_000), "rate");
    for (series, level) in [(0, 100.0), (1, 1000.0)] {
        let z: Vec<f64> =
            rates.iter().skip(series).step_by(2).map(|rate| (rate.unwrap() / level - 1.0) / 0.1).collect();
        let centre = mean(z.iter().copied());
        let variance = mean(z.iter().map(|z| (z - centre).powi(2)));
        let carried = mean(z.windows(2).map(|pair| (pair[0] - centre) * (pair[1] - centre))) / variance;
        assert!(centre.abs() < 0.2 && (variance - 1.0).abs() < 0.2, "{centre} {variance}");
        assert!((carried - 0.8).abs() < 0.04, "{carried}");
    }
    let wave = world("reversion: 0.2", "reversion: 1, season: 0.5, period: 4");
    let crest = |row: usize| {
        mean(
            column(&wave, &records(&wave, &declared(&wave), 0, 8_000), "rate")
                .into_iter()
                .skip(row)
                .step_by(8)
                .flatten(),
        )
    };
    assert!((crest(2) - 150.0).abs() < 2.0 && (crest(6) - 50.0).abs() < 2.0, "{} {}", crest(2), crest(6));
}

#[test]
fn words_and_images_depend_on_the_class() {
    let loaded = world("", "");
    let mut lengths = BTreeSet::new();
    for row in of(&loaded, 0, 80) {
        let (Value::String(title), Value::Bytes(image), Value::String(hash)) = (&row[3], &row[4], &row[5]) else {
            panic!()
        };
        assert_eq!(images_format(image), Ok("png"));
        assert_eq!(*hash, hex::encode(Sha256::digest(image)));
        if row[7] == Value::String("a".to_owned()) {
            let (first, second) = title.strip_prefix("<p>").unwrap().split_once("</p>").unwrap();
            for words in [first, second] {
                let words: Vec<_> = words.split(' ').collect();
                assert!(words.iter().all(|word| ["red", "round", "the", "of"].contains(word)), "{title}");
                lengths.insert(words.len());
            }
        } else {
            assert_eq!(title, "blue blue blue");
        }
    }
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [2, 3, 4, 5]);
}

#[test]
fn what_does_not_fit_its_field_is_refused_with_its_line() {
    let cases = [
        (
            "{ cycle: { of: [EU, US] } }",
            "{ image: { width: 1, height: 1, ground: [0, 0, 0] } }",
            "`region`: it is a string",
        ),
        ("reversion: 0.2", "reversion: 7", "`reversion`"),
        ("of: image", "of: imge", "did you mean `image`?"),
        ("{ cycle:", "{ cycel:", "did you mean `cycle`?"),
    ];
    for (from, to, part) in cases {
        let text = PIPELINE.replace(from, to);
        let parsed =
            driftmill_schemas::pipeline::parse(&text, std::path::Path::new("p.yaml"), |_| Ok(SCHEMA.to_owned()));
        let error = parsed.unwrap_err();
        assert!(error.to_string().contains(part) && error.problems[0].line > 5, "{part}: {error}");
    }
    let loaded = world("{ cycle: { of: [EU, US] } }", "{ cycle: { of: [EU, US] } }, decimals: 1");
    let error = open(&loaded, &declared(&loaded), 0).err().unwrap().to_string();
    assert!(error.contains("`region`: only numbers"), "{error}");
}
