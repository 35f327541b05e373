//! The real files the bundled pipelines are modelled on. They lie beside the repository and are never part of it:
//! `DRIFTMILL_DATA` says where, `../shared/data` is looked at by itself. Without them these tests say that they did not run,
//! and in CI they fail.

use std::path::PathBuf;

use crate::harness::{Options, Stack, repository};

pub fn data(file: &str) -> Option<String> {
    let folder = std::env::var_os("DRIFTMILL_DATA").map_or_else(|| repository().join("../shared/data"), PathBuf::from);
    let path = folder.join(file);
    if path.exists() {
        return Some(path.to_str().unwrap().to_owned());
    }
    assert!(std::env::var_os("CI").is_none(), "{} is not there: set DRIFTMILL_DATA", path.display());
    eprintln!("DID NOT RUN: {} is not there; set DRIFTMILL_DATA to the folder of the evaluation data", path.display());
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_the_real_iris_file_is_read_and_a_model_serves() {
    let Some(file) = data("iris/iris.csv") else { return };
    let stack = Stack::start(Options { sources: false, ..Options::default() }).await;
    stack.cli_ok(&["produce", "iris", "--source", "fisher", "--from", &file]).await;
    stack.serves("iris", |version| version == 1).await;
    assert_eq!(stack.sql("SELECT count(), uniqExact(label) FROM iris_features").await, "150\t3");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_the_real_loan_file_is_read_gaps_included_and_its_model_is_refused() {
    let Some(file) = data("loan/dataset.csv") else { return };
    let stack = Stack::start(Options { pipelines: &["loan"], sources: false, ..Options::default() }).await;
    stack.cli_ok(&["produce", "loan", "--source", "file", "--from", &file]).await;
    stack.sql_becomes("SELECT count() FROM loan_features", "1000").await;
    assert_eq!(
        stack.sql("SELECT countIf(age IS NULL), countIf(annual_income IS NULL) FROM loan_features").await,
        "50\t30"
    );
    stack.sql_becomes("SELECT any(state) FROM runs WHERE pipeline = 'loan' AND state != 'started'", "refused").await;
    assert_eq!(stack.sql("SELECT count() FROM loan_dead_letters").await, "0");
}
