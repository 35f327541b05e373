//! Training on a file and judging by a file, with nothing running and beside what runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::{Options, Stack, binary, copy_pipelines, output, repository};

/// A data folder and pipelines on which nothing runs.
pub struct Alone {
    pub folder: tempfile::TempDir,
    pub pipelines: PathBuf,
}

impl Alone {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pipelines = copy_pipelines(&["iris", "loan", "prices", "products", "dandelion"], folder.path());
        Self { folder, pipelines }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("--pipelines").arg(&self.pipelines).arg("--data-dir").arg(self.folder.path().join("data"));
        command.args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        output(&self.command(arguments))
    }

    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

pub fn fisher() -> String {
    repository().join("pipelines/iris/data/iris.csv").to_str().unwrap().to_owned()
}

/// Fisher's flowers with the lines changed.
fn changed(folder: &Path, name: &str, change: impl Fn(usize, &str) -> String) -> String {
    let text = std::fs::read_to_string(fisher()).unwrap();
    let lines: Vec<String> = text.lines().enumerate().map(|(number, line)| change(number, line)).collect();
    let file = folder.join(name);
    std::fs::write(&file, lines.join("\n")).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn a_file_trains_a_model_that_another_file_judges_while_nothing_runs() {
    let alone = Alone::new();
    let said = alone.ok(&["train", "iris", "--from", &fisher()]);
    assert!(said.contains("version 1 is champion now"), "{said}");

    let judged: Value = serde_json::from_str(&alone.ok(&["evaluate", "iris", "--data", &fisher(), "--json"])).unwrap();
    assert_eq!((&judged["version"], &judged["alias"], &judged["rows"]), (&1.into(), &"champion".into(), &150.into()));
    let accuracy = judged["metrics"]["accuracy"]["value"].as_f64().unwrap();
    assert!(accuracy > 0.95, "{judged:#}");
    let words = alone.ok(&["evaluate", "iris", "--data", &fisher()]);
    assert!(words.contains("versicolor") && words.contains("balanced_accuracy"), "{words}");
}

#[test]
fn rows_of_a_file_are_a_gold_set_that_refuses_what_learned_wrong_labels() {
    let alone = Alone::new();
    let half = |name: &str, rest: usize, label: fn(&str) -> String| {
        let of =
            |number: usize, line: &str| if number == 0 || number % 2 == rest { label(line) } else { String::new() };
        let text = std::fs::read_to_string(changed(alone.folder.path(), name, of)).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        std::fs::write(alone.folder.path().join(name), lines.join("\n")).unwrap();
        alone.folder.path().join(name).to_str().unwrap().to_owned()
    };
    let gold = half("gold.csv", 0, str::to_owned);
    let wrong = half("wrong.csv", 1, |line| {
        line.replace("virginica", "?").replace("setosa", "virginica").replace('?', "setosa")
    });
    let right = half("right.csv", 1, str::to_owned);
    assert!(alone.ok(&["models", "gold", "iris"]).contains("no gold set"));
    let set = alone.ok(&["models", "gold", "iris", "--from", &gold, "--reason", "measured twice"]);
    assert!(set.contains("75 rows are the gold set of iris") && set.contains("give 100 or more"), "{set}");
    let refused = alone.ok(&["train", "iris", "--from", &wrong]);
    assert!(
        refused.contains("refused no worse on the gold set: accuracy ") && refused.contains("not promoted"),
        "{refused}"
    );
    let shown = alone.ok(&["models", "gold", "iris"]);
    assert!(shown.contains("75 rows, in force") && shown.contains("measured twice"), "{shown}");
    let promoted = alone.ok(&["train", "iris", "--from", &right]);
    assert!(
        promoted.contains("passed  no worse on the gold set") && promoted.contains("is champion now"),
        "{promoted}"
    );
    // Of rows that are gold themselves, nothing is left to learn.
    let nothing = alone.run(&["train", "iris", "--from", &gold]);
    let told = String::from_utf8(nothing.stderr).unwrap();
    assert!(!nothing.status.success() && told.contains("has 0 labelled rows"), "{told}");
    alone.ok(&["models", "gold", "iris", "--clear", "--reason", "enough"]);
    let shown = alone.ok(&["models", "gold", "iris"]);
    assert!(shown.contains("no gold set") && shown.contains("enough") && shown.contains("75 rows: "), "{shown}");
    assert!(alone.ok(&["models", "gold", "iris", "--version", "2"]).contains("15 rows are the gold set"));
}

#[test]
fn rows_that_are_no_good_are_counted_and_told_and_the_others_judge() {
    let alone = Alone::new();
    alone.ok(&["train", "iris", "--from", &fisher()]);
    let file = changed(alone.folder.path(), "some.csv", |number, line| match number {
        // Not a number, out of range, and a flower that nobody knows.
        3 => line.replacen(|c: char| c.is_ascii_digit(), "x", 1),
        4 => format!("500{line}"),
        5 => line.replace("setosa", "tulip"),
        _ => line.to_owned(),
    });
    let output = alone.run(&["evaluate", "iris", "--data", &file, "--json"]);
    let judged: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (rows, rejected) = (judged["rows"].as_u64().unwrap(), judged["rejected"].as_u64().unwrap());
    assert_eq!((rows, rejected), (147, 3), "{judged:#}");
    let told = alone.run(&["train", "iris", "--from", &file]);
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(told.contains("3 records rejected") && told.contains("record 3"), "{told}");
}

#[test]
fn the_same_file_and_seed_give_the_same_snapshot_and_the_same_model_to_the_byte_wherever_they_are() {
    let hashes: Vec<(Value, Value)> = (0..2)
        .map(|_| {
            let alone = Alone::new();
            alone.ok(&["train", "iris", "--from", &fisher()]);
            let shown: Value = serde_json::from_str(&alone.ok(&["models", "show", "iris", "1"])).unwrap();
            (shown["snapshot"].clone(), shown["artifact"].clone())
        })
        .collect();
    assert!(hashes[0].0.is_string() && hashes[0].1.is_string(), "{hashes:?}");
    assert_eq!(hashes[0], hashes[1]);
}

#[test]
fn what_is_missing_is_said_with_what_to_do() {
    let alone = Alone::new();
    let said = |arguments: &[&str]| {
        let output = alone.run(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let none = said(&["evaluate", "iris", "--data", &fisher()]);
    assert!(none.contains("driftmill train iris --from"), "{none}");
    assert!(said(&["train", "iris", "--from", "nowhere.csv"]).contains("nowhere.csv"));
    assert!(said(&["train", "iris", "--from", &fisher(), "--source", "fischer"]).contains("did you mean `fisher`"));
    assert!(said(&["train", "iris", "--from", &fisher(), "--source", "shifted"]).contains("reads no files"));
    let strange = alone.folder.path().join("rows.xyz");
    std::fs::write(&strange, "?").unwrap();
    assert!(said(&["train", "iris", "--from", strange.to_str().unwrap()]).contains("--source"));
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_running_stack_a_file_trains_the_model_that_is_served_next() {
    let stack = Stack::start(Options { sources: false, ..Options::default() }).await;
    let said = stack.cli_ok(&["train", "iris", "--from", &fisher()]).await;
    assert!(said.contains("version 1 is champion now"), "{said}");
    stack.serves("iris", |version| version == 1).await;
    let judged = stack.cli_ok(&["evaluate", "iris", "--data", &fisher(), "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&judged).unwrap()["version"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_finds_what_runs_on_its_data_folder_and_no_longer_when_it_was_killed() {
    let mut stack = Stack::start_embedded(Options { sources: false, ..Options::default() }).await;
    let (pipelines, data) = (stack.pipelines.clone(), stack.data());
    let run = |arguments: &[&str]| {
        let mut command = Command::new(binary());
        command.arg("--pipelines").arg(&pipelines).arg("--data-dir").arg(&data).args(arguments);
        output(&command)
    };
    // A second engine on the folder is impossible, so this went through the running one.
    let trained = run(&["train", "iris", "--from", &fisher()]);
    assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    let listed = run(&["models", "list", "iris"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("champion"), "{listed:?}");
    assert!(stack.data().join("running.json").is_file());

    stack.kill();
    assert!(data.join("running.json").is_file(), "nobody was there to take it away");
    let judged = run(&["evaluate", "iris", "--data", &fisher(), "--json"]);
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stderr));
    assert!(!data.join("running.json").is_file());
}

#[test]
fn a_folder_of_texts_labels_and_images_trains_and_judges() {
    let Some(folder) = crate::evaluation_data::data("products") else { return };
    let alone = Alone::new();
    let said = alone.ok(&["train", "products", "--from", &folder]);
    assert!(said.contains("is champion now"), "{said}");
    let judged: Value =
        serde_json::from_str(&alone.ok(&["evaluate", "products", "--data", &folder, "--json"])).unwrap();
    assert_eq!((&judged["rows"], &judged["rejected"]), (&325.into(), &0.into()));
    assert_eq!(judged["classes"].as_array().unwrap().len(), 15);
    let shown = alone.ok(&["models", "card", "products", "1"]);
    let f1 = shown.lines().find(|line| line.starts_with("| weighted_f1")).unwrap().to_owned();
    let f1: f64 = f1.split('|').nth(2).unwrap().trim().parse().unwrap();
    assert!(f1 > 0.6, "weighted F1 {f1} on products that the model has not seen");
}

#[test]
fn two_folders_of_images_train_a_network_and_judge_it() {
    let Some(folder) = crate::evaluation_data::data("dandelion") else { return };
    let alone = Alone::new();
    // Few passes: what a whole training reaches is told in the documentation of the pipeline.
    let members = r#"members=[{"algorithm":"cnn","params":{"epochs":6}},{"algorithm":"image_classifier"}]"#;
    let said = alone.ok(&["train", "dandelion", "--from", &folder, "--param", members]);
    assert!(said.contains("is champion now"), "{said}");
    let judged: Value =
        serde_json::from_str(&alone.ok(&["evaluate", "dandelion", "--data", &folder, "--json"])).unwrap();
    assert_eq!((&judged["rows"], &judged["algorithm"]), (&320.into(), &"late_fusion".into()));
    assert!(judged["metrics"]["accuracy"]["value"].as_f64().unwrap() > 0.8, "{judged:#}");
}

#[test]
fn prices_are_forecast_better_than_by_their_last_value_and_by_the_date() {
    let Some(file) = crate::evaluation_data::data("prices/wow_token_gold_2025-12.csv") else { return };
    let alone = Alone::new();
    let said = alone.ok(&["train", "prices", "--from", &file]);
    assert!(said.contains("passed  better than a regression on the date"), "{said}");
    assert!(said.contains("passed  no worse than the last value"), "{said}");
    let judged: Value = serde_json::from_str(&alone.ok(&["evaluate", "prices", "--data", &file, "--json"])).unwrap();
    let metric = |name: &str| judged["metrics"][name]["value"].as_f64().unwrap();
    assert!(metric("rmse") < metric("naive_rmse") && metric("coverage") > 0.8, "{judged:#}");
    assert_eq!(judged["forecast"]["series"].as_array().unwrap().len(), 4);
}

#[test]
fn what_did_not_change_is_not_fitted_again_and_snapshots_come_back_byte_by_byte() {
    let alone = Alone::new();
    alone.ok(&["train", "iris", "--from", &fisher()]);
    let again = alone.ok(&["train", "iris", "--from", &fisher()]);
    assert!(again.contains("version 1 is champion now"), "{again}");
    let other = alone.ok(&["train", "iris", "--from", &fisher(), "--param", "n_estimators=30"]);
    assert!(other.contains("version 2"), "{other}");
    let differs = alone.ok(&["models", "diff", "iris", "1", "2"]);
    assert!(differs.contains("n_estimators") && !differs.contains("snapshot"), "{differs}");

    let list = alone.ok(&["data", "list", "iris"]);
    let hash = list.lines().nth(1).unwrap().split_whitespace().nth(1).unwrap().to_owned();
    assert!(alone.ok(&["data", "show", &hash[..8]]).contains("petal_length"));
    let folder = alone.folder.path().join("restored");
    alone.ok(&["data", "restore", &hash, "--to", folder.to_str().unwrap()]);
    let mut names: Vec<String> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names.len(), 7, "{names:?}");
    let csv = alone.folder.path().join("rows.csv");
    alone.ok(&["data", "export", &hash, "--to", csv.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(&csv).unwrap().lines().count(), 151);

    alone.ok(&["models", "promote", "iris", "2"]);
    let back = alone.ok(&["models", "rollback", "iris"]);
    assert!(back.contains("version 1 of iris is champion again"), "{back}");
}

#[test]
fn a_training_that_is_killed_leaves_no_model_is_marked_and_succeeds_when_it_is_repeated() {
    let alone = Alone::new();
    // Minutes of work, so that there is something to kill.
    let mut training =
        alone.command(&["train", "iris", "--from", &fisher(), "--param", "n_estimators=10000"]).spawn().unwrap();
    let store = alone.folder.path().join("data/objects/sha256");
    let begun = std::time::Duration::from_millis(20);
    // The snapshot is kept before the fit begins.
    while !store.is_dir() {
        assert!(training.try_wait().unwrap().is_none(), "it ended before anything could be killed");
        std::thread::sleep(begun);
    }
    training.kill().unwrap();
    training.wait().unwrap();
    assert!(alone.ok(&["models", "list", "iris"]).contains("no model yet"));
    let said = alone.ok(&["train", "iris", "--from", &fisher()]);
    assert!(said.contains("version 1 is champion now"), "{said}");
    let status = alone.ok(&["runs", "iris"]);
    let lines: Vec<&str> = status.lines().collect();
    assert!(lines.iter().any(|line| line.contains("failed") && line.contains("interrupted")), "{status}");
    assert!(lines.iter().any(|line| line.contains("promoted")), "{status}");
}
