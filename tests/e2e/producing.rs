//! Sources as a user runs them.

use crate::harness::{Options, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_has_sent_everything_sends_nothing_more_unless_told_to() {
    let stack = Stack::start(Options { sources: false, ..Options::default() }).await;
    stack.cli_ok(&["produce", "iris", "--source", "fisher"]).await;
    stack.sql_becomes("SELECT count() FROM iris_features", "150").await;
    stack.cli_ok(&["produce", "iris", "--source", "fisher"]).await;
    stack.cli_ok(&["produce", "iris", "--source", "fisher", "--restart"]).await;
    stack.sql_becomes("SELECT count() FROM iris_features", "300").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_peoples_headers_and_codes_are_read_as_the_pipeline_says() {
    let stack = Stack::start(Options { sources: false, ..Options::default() }).await;
    let csv = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm),target\n5.1,3.5,1.4,0.2,0\n6.3,3.3,6.0,2.5,2\n";
    let file = stack.pipelines.join("theirs.csv");
    std::fs::write(&file, csv).unwrap();
    stack.cli_ok(&["produce", "iris", "--source", "fisher", "--from", file.to_str().unwrap()]).await;
    stack.sql_becomes("SELECT arraySort(groupArray(label)) FROM iris_features", "['setosa','virginica']").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_inferred_from_a_csv_checks_and_trains() {
    let stack = Stack::start(Options { sources: false, ..Options::default() }).await;
    let csv = stack.pipelines.join("iris/data/iris.csv");
    stack.cli_ok(&["new", "garden", "--from", csv.to_str().unwrap()]).await;
    let plan = stack.cli_ok(&["check", "garden"]).await;
    assert!(plan.contains("garden: right") && plan.contains("species"), "{plan}");
}
