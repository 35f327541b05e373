//! What sets two versions apart.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use driftmill_platform::registry::ModelVersion;
use driftmill_schemas::model::ModelCard;

/// The differences, a line each; what is the same is not told, except for the metrics.
pub fn text((a, a_card): (&ModelVersion, &ModelCard), (b, b_card): (&ModelVersion, &ModelCard)) -> String {
    let mut text = format!("{}: version {} → {}\n", a.pipeline, a.version, b.version);
    let mut told = |what: &str, a: String, b: String| {
        if a != b {
            // Writing to a text does not fail.
            let _ = writeln!(text, "{what:<24} {a} → {b}");
        }
    };
    told("algorithm", a.algorithm.clone(), b.algorithm.clone());
    for name in a_card.params.keys().chain(b_card.params.keys()).collect::<BTreeSet<_>>() {
        let value = |card: &ModelCard| card.params.get(name).map_or("default".to_owned(), ToString::to_string);
        told(name, value(a_card), value(b_card));
    }
    told("seed", a_card.seed.to_string(), b_card.seed.to_string());
    let features =
        |card: &ModelCard| card.features.iter().map(|f| (f.name.clone(), f.expression().to_owned())).collect();
    let (before, after): (BTreeSet<(String, String)>, BTreeSet<_>) = (features(a_card), features(b_card));
    let shown = |(name, sql): &(String, String)| if name == sql { name.clone() } else { format!("{name} = {sql}") };
    for feature in before.difference(&after) {
        told("feature", shown(feature), "-".to_owned());
    }
    for feature in after.difference(&before) {
        told("feature", "-".to_owned(), shown(feature));
    }
    told("classes", a_card.classes.join(", "), b_card.classes.join(", "));
    told("code", a_card.code_version.clone(), b_card.code_version.clone());
    told("snapshot", short(&a.snapshot), short(&b.snapshot));
    told("rows", a.rows.to_string(), b.rows.to_string());
    for name in a.metrics.keys().chain(b.metrics.keys()).collect::<BTreeSet<_>>() {
        let line = match (a.metrics.get(name), b.metrics.get(name)) {
            (Some(a), Some(b)) => format!("{a:.4} → {b:.4} ({:+.4})", b - a),
            (Some(a), None) => format!("{a:.4} → -"),
            (None, Some(b)) => format!("- → {b:.4}"),
            (None, None) => continue,
        };
        let _ = writeln!(text, "{name:<24} {line}");
    }
    let mut told = |what: &str, a: String, b: String| {
        if a != b {
            let _ = writeln!(text, "{what:<24} {a} → {b}");
        }
    };
    let gates = |version: &ModelVersion| -> BTreeSet<String> {
        version.gates.iter().filter(|gate| !gate.passed).map(|gate| gate.gate.clone()).collect()
    };
    let named = |gates: BTreeSet<String>| match gates.is_empty() {
        true => "none".to_owned(),
        false => gates.into_iter().collect::<Vec<_>>().join(", "),
    };
    told("gates that refused", named(gates(a)), named(gates(b)));
    text
}

fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use driftmill_schemas::model::CARD_FORMAT;
    use std::collections::BTreeMap;

    fn version(number: u64, accuracy: f64) -> (ModelVersion, ModelCard) {
        let version = ModelVersion {
            pipeline: "iris".to_owned(),
            version: number,
            run_id: uuid::Uuid::nil(),
            created_at: 0,
            algorithm: "random_forest".to_owned(),
            artifact: "a".to_owned(),
            reference: "r".to_owned(),
            snapshot: "s".to_owned(),
            rows: 150,
            metrics: BTreeMap::from([("accuracy".to_owned(), accuracy)]),
            gates: Vec::new(),
        };
        let card = serde_json::json!({
            "format": CARD_FORMAT, "pipeline": "iris", "features": [{"name": "x"}], "schema": "{}", "classes": ["a"],
            "algorithm": "random_forest", "params": {"n_estimators": number * 100}, "seed": 1, "snapshot": "s",
            "code_version": "0.1.0",
        });
        (version, ModelCard::from_header(card).unwrap())
    }

    #[test]
    fn parameters_and_metrics_that_changed_are_told_and_nothing_else() {
        let ((a, a_card), (b, b_card)) = (version(1, 0.9), version(2, 0.95));
        let text = text((&a, &a_card), (&b, &b_card));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[1].starts_with("n_estimators") && lines[1].ends_with("100 → 200"), "{text}");
        assert!(lines[2].ends_with("0.9000 → 0.9500 (+0.0500)"), "{text}");
    }
}
