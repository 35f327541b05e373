//! Hyper-parameters searched for, algorithms cross-validated, models continued: by the command line, on files.

use std::path::Path;

use serde_json::Value;

use crate::files::{Alone, fisher};
use crate::harness::{Options, Stack, eventually};

/// Changes a pipeline file.
fn edited(file: &Path, change: impl Fn(&str) -> String) {
    let text = std::fs::read_to_string(file).unwrap();
    let new = change(&text);
    assert_ne!(new, text);
    std::fs::write(file, new).unwrap();
}

const SPACE: &str = "  search:
    candidates: 12
    folds: 3
    method: random
    space:
      n_estimators: { integer: { from: 20, to: 60 } }
      max_depth: { choice: [1, 2, 4, null] }
";

fn searching(alone: &Alone, space: &str) {
    edited(&alone.pipelines.join("iris/pipeline.yaml"), |text| declaring(text, space));
}

fn declaring(text: &str, space: &str) -> String {
    text.replace("  seed: 19\n", &format!("  seed: 19\n{space}"))
}

fn search(alone: &Alone) -> Value {
    serde_json::from_str(&alone.ok(&["search", "iris", "--json"])).unwrap()
}

#[test]
fn the_best_of_what_was_tried_is_fitted_and_a_search_of_the_same_is_not_made_again() {
    let alone = Alone::new();
    let told = alone.run(&["train", "iris", "--from", &fisher(), "--search"]);
    let told = String::from_utf8(told.stdout).unwrap() + String::from_utf8(told.stderr).unwrap().as_str();
    assert!(told.contains("training.search.space"), "{told}");

    searching(&alone, SPACE);
    let said = alone.ok(&["train", "iris", "--from", &fisher(), "--search"]);
    assert!(said.contains("search_candidates"), "{said}");
    let found = search(&alone);
    let candidates = found["candidates"].as_array().unwrap();
    assert_eq!(candidates.len(), 13, "{found:#}");
    assert!(candidates.iter().any(|tried| tried["params"].as_object().unwrap().is_empty()), "{found:#}");
    let means: Vec<f64> = candidates.iter().map(|tried| tried["mean"].as_f64().unwrap()).collect();
    assert!(means.is_sorted_by(|a, b| a >= b) && means[0] > 0.9, "{means:?}");

    // The same rows, space and code: everything is known, and so is the model.
    let again = alone.ok(&["train", "iris", "--from", &fisher(), "--search"]);
    assert!(!again.contains("version 2"), "{again}");
    assert_eq!(search(&alone), found);
    assert!(alone.ok(&["search", "iris"]).contains("as in the file"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_is_killed_goes_on_where_it_was() {
    // Long enough to be killed in the middle.
    let long = |pipelines: &Path| {
        let space = SPACE.replace("from: 20, to: 60", "from: 800, to: 1200");
        edited(&pipelines.join("iris/pipeline.yaml"), |text| declaring(text, &space));
    };
    let stack = Stack::start(Options { sources: false, edit: long, ..Options::default() }).await;
    let train = ["train", "iris", "--from", &fisher(), "--search"];
    let mut training = stack.command().args(train).spawn().unwrap();
    let some = "SELECT toString(count() > 0) FROM search_scores";
    eventually("some evaluations", async || stack.try_sql(some).await.ok().filter(|answer| answer == "1")).await;
    training.kill().unwrap();
    training.wait().unwrap();
    let known: usize = stack.sql("SELECT toString(count()) FROM search_scores").await.parse().unwrap();
    assert!(known < 39, "it ended before it was killed");
    let said = stack.cli_ok(&train).await;
    assert!(said.contains("search_evaluations"), "{said}");
    // Those that were known were not evaluated again.
    stack.sql_becomes("SELECT toString(count()) FROM search_scores", "39").await;
}

#[test]
fn a_space_that_does_not_fit_is_told_with_its_line() {
    let alone = Alone::new();
    searching(&alone, &SPACE.replace("max_depth", "max_dept"));
    let output = alone.run(&["check", "iris"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.contains("did you mean `max_depth`"), "{told}");
    assert!(told.contains("pipeline.yaml:"), "{told}");
}

#[test]
fn an_algorithm_is_judged_by_folds_with_nothing_running_and_no_model_is_kept() {
    let alone = Alone::new();
    let json = ["cross-validate", "iris", "--data", &fisher(), "--folds", "10", "--learning-curve", "--json"];
    let found: Value = serde_json::from_str(&alone.ok(&json)).unwrap();
    let accuracy = &found["metrics"]["accuracy"];
    assert!(accuracy["value"].as_f64().unwrap() >= 0.94, "{found:#}");
    assert!(accuracy["interval"]["lower"].as_f64().unwrap() > 0.85, "{found:#}");
    assert_eq!((found["folds"].as_array().unwrap().len(), found["answered"].as_u64()), (10, Some(150)));
    assert!(found["better_by"]["lower"].as_f64().unwrap() > 0.4, "{found:#}");
    assert_eq!(found["learning_curve"][0]["size"], 20, "{found:#}");
    assert!(!alone.folder.path().join("data").join("objects").exists());
    let words = alone.ok(&["cross-validate", "iris", "--data", &fisher(), "--param", "max_depth=1"]);
    assert!(words.contains("constant baseline") && words.contains("interval"), "{words}");
}

#[test]
fn an_evaluation_tells_what_the_model_goes_by() {
    let alone = Alone::new();
    alone.ok(&["train", "iris", "--from", &fisher()]);
    let json = ["evaluate", "iris", "--data", &fisher(), "--importance", "--json"];
    let found: Value = serde_json::from_str(&alone.ok(&json)).unwrap();
    let first = found["importance"][0]["feature"].as_str().unwrap();
    assert!(first.starts_with("petal"), "{found:#}");
    assert!(found["importance"][0]["shap"].as_f64().unwrap() > 0.05, "{found:#}");
    let words = alone.ok(&["evaluate", "iris", "--data", &fisher(), "--importance"]);
    assert!(words.contains("accuracy lost when shuffled"), "{words}");
}

#[test]
fn a_training_continues_the_champion_until_it_is_long_enough() {
    let alone = Alone::new();
    edited(&alone.pipelines.join("iris/pipeline.yaml"), |text| {
        let boosted = text.replace("algorithm: random_forest", "algorithm: gradient_boosting");
        let boosted = boosted.replace("{ n_estimators: 100 }", "{ n_estimators: 20, min_samples_leaf: 5 }");
        // What is shown is what is continued, not which of two flowers is told better.
        let boosted = boosted.replace("margin: 0.02", "margin: 0.3");
        boosted.replace("  seed: 19\n", "  seed: 19\n  warm_start: { rounds: 10, most_rounds: 40 }\n")
    });
    let trained = |version: usize, rows: usize, rounds: usize, continues: &str| {
        let file = some_rows(alone.folder.path(), rows);
        let said = alone.ok(&["train", "iris", "--from", &file]);
        assert!(said.contains(&format!("version {version} is champion now")), "{said}");
        let card = alone.ok(&["models", "card", "iris", &version.to_string()]);
        assert!(card.contains(&format!("\"n_estimators\":{rounds}")) && card.contains(continues), "{card}");
    };
    trained(1, 150, 20, "fitted anew");
    trained(2, 149, 30, "version 1");
    trained(3, 148, 40, "version 2");
    trained(4, 147, 20, "fitted anew");
    // The same rows again: it is the model that there is.
    trained(4, 147, 20, "fitted anew");
}

/// The first rows of Fisher's flowers, dealt so that every class is among them.
fn some_rows(folder: &Path, count: usize) -> String {
    let text = std::fs::read_to_string(fisher()).unwrap();
    let mut lines = text.lines();
    let mut kept = vec![lines.next().unwrap()];
    kept.extend(lines.skip(150 - count));
    let file = folder.join("some_rows.csv");
    std::fs::write(&file, kept.join("\n")).unwrap();
    file.to_str().unwrap().to_owned()
}
