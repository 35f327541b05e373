//! An API that is polled.

use std::path::Path;

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::api::Api;
use super::{add_source, produce, produce_killed_at};
use crate::harness::{Options, Stack, eventually};

const COUNT: &str = "SELECT count(), uniqExact(sepal_length) FROM iris_features";

fn source(name: &str, url: &str, more: &str) -> String {
    format!(
        "  - name: {name}\n    rate: 100\n    http:\n      url: {url}\n      every: 0.2\n      columns: {{ length: sepal_length }}\n{more}"
    )
}

/// Waits until two more rounds are over: whatever is answered again has come again.
async fn two_rounds(api: &Api) {
    let rounds = api.state().rounds;
    eventually("two more rounds", async || (api.state().rounds >= rounds + 2).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_an_api_arrives_once_however_often_it_fails_and_the_process_is_killed() {
    let (stack, api) = (Stack::start(Options { sources: false, ..Options::default() }).await, Api::start(120).await);
    let more = "      ignore: [id]\n      records: /data\n      paging: { page: { parameter: page } }\n      headers: { Authorization: 'Bearer ${TEST_API_TOKEN}' }\n";
    add_source(&stack.pipelines, "iris", &source("api", &format!("{}/pages?x=1", api.url), more));
    let plan = stack.cli_ok(&["check", "iris"]).await;
    assert!(plan.contains("/pages (json) every 0.2 s, pages by number"), "{plan}");
    let missing = stack.cli(&["produce", "iris", "--source", "api"]).await;
    assert!(String::from_utf8_lossy(&missing.stderr).contains("`TEST_API_TOKEN` is not set"));

    let token = [("TEST_API_TOKEN", "s3cret-token"), ("NO_PROXY", "127.0.0.1")];
    let mut process = produce_killed_at(&stack, ("iris", "api"), &token, &[7, 61]).await;
    stack.sql_becomes(COUNT, "120\t120").await;
    api.state().rows = 140;
    stack.sql_becomes(COUNT, "140\t140").await;
    two_rounds(&api).await;
    assert!(process.stop());
    let summary: Vec<String> = std::iter::from_fn(|| process.try_line()).collect();
    assert!(summary.iter().any(|line| line.contains("polls failed, and were made again")), "{summary:?}");
    let log = process.log();
    assert!(log.contains("HTTP status 500") && !log.contains("s3cret"), "{log}");
    assert_eq!(stack.sql(COUNT).await, "140\t140");
    assert_eq!(stack.sql("SELECT count() FROM iris_dead_letters").await, "0");
    let audit = stack.cli_ok(&["audit", "iris"]).await;
    assert!(audit.contains("balanced"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_change_is_not_fetched_again_and_bad_answers_pass() {
    let (stack, api) = (Stack::start(Options { sources: false, ..Options::default() }).await, Api::start(30).await);
    let broken: [Response; 2] = ["<html>".into_response(), StatusCode::NOT_FOUND.into_response()];
    api.state().broken.extend(broken);
    let all = format!("{}/all", api.url);
    add_source(&stack.pipelines, "iris", &source("api", &all, "      key: [sepal_length]\n      ignore: [id]\n"));
    let mut process = produce(&stack, "iris", "api", &[("NO_PROXY", "127.0.0.1")]);
    stack.sql_becomes(COUNT, "30\t30").await;
    eventually("a request is answered by 304", async || (api.state().unchanged > 0).then_some(())).await;
    process.kill();
    // The next process knows the validators of the last.
    let fetched = api.state().fetched();
    let mut process = produce(&stack, "iris", "api", &[("NO_PROXY", "127.0.0.1")]);
    two_rounds(&api).await;
    assert!(api.state().fetched() <= fetched + 1);
    api.state().rows = 33;
    stack.sql_becomes(COUNT, "33\t33").await;
    assert!(process.stop());
}

/// Gives flowers a field that counts them.
fn numbered(pipelines: &Path) {
    let schema = pipelines.join("iris/record.avsc");
    let text = std::fs::read_to_string(&schema).unwrap();
    let species = "    {\"name\": \"species\"";
    let number = "    {\"name\": \"number\", \"type\": [\"null\", \"long\"], \"default\": null},\n";
    assert!(text.contains(species));
    std::fs::write(&schema, text.replace(species, &format!("{number}{species}"))).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_goes_on_where_a_killed_process_stopped() {
    let stack = Stack::start(Options { sources: false, edit: numbered, ..Options::default() }).await;
    let api = Api::start(140).await;
    let more = "      format: ndjson\n      cursor: { field: number, parameter: from, ordered: true }\n";
    let source = source("api", &format!("{}/since", api.url), more);
    let source = source.replace("{ length: sepal_length }", "{ length: sepal_length, id: number }");
    add_source(&stack.pipelines, "iris", &source);
    let mut process = produce_killed_at(&stack, ("iris", "api"), &[("NO_PROXY", "127.0.0.1")], &[9, 60]).await;
    stack.sql_becomes(COUNT, "140\t140").await;
    two_rounds(&api).await;
    assert!(process.stop());
    assert_eq!(stack.sql(COUNT).await, "140\t140");
}
