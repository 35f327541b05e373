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
    stack.sql_becomes("SELECT toString(count()) FROM search_scores FINAL", "39").await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_training_continues_the_champion_until_it_is_long_enough() {
    let boosted = |pipelines: &Path| {
        edited(&pipelines.join("iris/pipeline.yaml"), |text| {
            let text = text.replace("algorithm: random_forest", "algorithm: gradient_boosting");
            let text = text.replace("{ n_estimators: 100 }", "{ n_estimators: 20, min_samples_leaf: 5 }");
            // What is shown is what is continued, not which of two flowers is told better.
            let text = text.replace("margin: 0.02", "margin: 0.3");
            text.replace("  seed: 19\n", "  seed: 19\n  warm_start: { rounds: 10, most_rounds: 40 }\n")
        });
    };
    let stack = Stack::start(Options { sources: false, edit: boosted, ..Options::default() }).await;
    let trained = async |version: u64, rounds: u64, continues: &str| {
        stack.serves("iris", |serving| serving == version).await;
        let card = stack.cli_ok(&["models", "card", "iris", &version.to_string()]).await;
        assert!(card.contains(&format!("\"n_estimators\":{rounds}")) && card.contains(continues), "{card}");
    };
    // With the rows of the file it has what the first training waits for.
    let (mut rows, flowers) = (0, std::fs::read_to_string(fisher()).unwrap());
    let mut more = async |count: usize| {
        let lines: Vec<&str> = flowers.lines().take(count + 1).collect();
        let sent = stack.feed(&["produce", "iris", "--stdin", "--source", "fisher"], lines.join("\n")).await;
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
        rows += count;
        stack.sql_becomes("SELECT toString(count()) FROM iris_features", &rows.to_string()).await;
    };
    more(150).await;
    trained(1, 20, "fitted anew").await;
    for (version, rounds, continues) in [(2, 30, "version 1"), (3, 40, "version 2"), (4, 20, "fitted anew")] {
        more(10).await;
        stack.cli_ok(&["train", "iris", "--direct"]).await;
        trained(version, rounds, continues).await;
    }
    // The same rows again: it is the model that there is.
    let again = stack.cli_ok(&["train", "iris", "--direct"]).await;
    assert!(again.contains("version 4 is champion now"), "{again}");
    // Rows of a file are split otherwise, and so may be among those that the champion has learned.
    stack.cli_ok(&["train", "iris", "--from", &fisher()]).await;
    trained(5, 20, "fitted anew").await;
}
