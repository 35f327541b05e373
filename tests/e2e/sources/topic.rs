//! Another pipeline's topic.

use std::path::Path;

use super::produce_killed_at;
use crate::harness::{Options, Stack};

/// Another pipeline, `garden`, that reads what `iris` has.
fn garden(pipelines: &Path) {
    let folder = pipelines.join("garden");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(pipelines.join("iris/record.avsc"), folder.join("record.avsc")).unwrap();
    let text = std::fs::read_to_string(pipelines.join("iris/pipeline.yaml")).unwrap();
    let (head, rest) = text.split_once("\nsources:\n").unwrap();
    let (_, rest) = rest.split_once("\nexpectations:\n").unwrap();
    let head = head.replace("name: iris", "name: garden");
    let source = "  - name: iris\n    rate: 100\n    topic: { name: iris.raw }\n";
    let rest = rest.split("\nserving:\n").next().unwrap();
    std::fs::write(folder.join("pipeline.yaml"), format!("{head}\nsources:\n{source}\nexpectations:\n{rest}\n"))
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_topic_is_replayed_once_and_followed_through_kills() {
    let stack = Stack::start(Options { sources: false, edit: garden, ..Options::default() }).await;
    let plan = stack.cli_ok(&["check", "garden"]).await;
    assert!(plan.contains("topic iris.raw from the beginning, then what follows"), "{plan}");
    stack.cli_ok(&["produce", "iris", "--source", "fisher"]).await;
    let mut process = produce_killed_at(&stack, ("garden", "iris"), &[], &[11, 70]).await;
    stack.sql_becomes("SELECT count() FROM garden_features", "150").await;
    stack.cli_ok(&["produce", "iris", "--source", "fisher", "--restart"]).await;
    // With their times, so the message's own is kept.
    let all = |table: &str| {
        format!("SELECT count(), sum(cityHash64(sepal_length, petal_width, label, event_time)) FROM {table}")
    };
    stack.sql_becomes("SELECT count() FROM iris_features", "300").await;
    let wanted = stack.sql(&all("iris_features")).await;
    stack.sql_becomes(&all("garden_features"), &wanted).await;
    assert!(process.stop());
    assert_eq!(stack.sql(&all("garden_features")).await, wanted);

    let own = stack.pipelines.join("garden/pipeline.yaml");
    let text = std::fs::read_to_string(&own).unwrap().replace("iris.raw", "garden.raw");
    std::fs::write(&own, text).unwrap();
    let refused = stack.cli(&["check", "garden"]).await;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("would never end"));
}
