//! Trainings by the clock, by new rows and by hand: each once, whoever looks at the clock; none for longer than it may take.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Options, Process, Stack, eventually};

/// Adds to what the iris pipeline says of its training.
fn training(pipelines: &Path, added: &str) {
    let file = pipelines.join("iris/pipeline.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let new = text.replace("  seed: 19\n", &format!("  seed: 19\n{added}"));
    assert_ne!(new, text);
    std::fs::write(file, new).unwrap();
}

/// A schedule of every minute: none fires more often.
fn often(pipelines: &Path) {
    training(
        pipelines,
        "  schedules:\n    - { name: often, cron: '* * * * *', time_zone: Europe/Berlin, params: { n_estimators: 5 } }\n",
    );
}

async fn listed(stack: &Stack) -> Value {
    let listed = stack.cli_ok(&["schedules", "iris", "--json"]).await;
    serde_json::from_str(listed.lines().next().unwrap()).unwrap()
}

async fn runs(stack: &Stack) -> Vec<Value> {
    let listed = stack.cli_ok(&["runs", "iris", "--json"]).await;
    listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const FIRED: &str = "SELECT toString(uniqExact(due)) FROM schedule_firings WHERE schedule = 'often'";
/// Runs of the schedule that have ended.
const ENDED: &str =
    "SELECT toString(uniqExact(run_id)) FROM runs WHERE endsWith(cause, ' by schedule often') AND state != 'started'";

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_paused_until_it_is_switched_on_and_pauses_again() {
    let stack = Stack::start(Options { edit: often, ..Options::default() }).await;
    stack.serves("iris", |_| true).await;
    let fresh = listed(&stack).await;
    assert_eq!(
        (&fresh["schedule"], &fresh["enabled"], &fresh["last_run"]),
        (&json!("often"), &json!(false), &Value::Null)
    );
    assert_eq!(fresh["next"].as_array().unwrap().len(), 3, "{fresh}");

    // It can be run by hand all the same, with other parameters; a time that passes meanwhile fires nothing.
    stack.cli(&["schedules", "run", "iris", "often", "--set", "max_depth=1"]).await;
    stack.cli(&["schedules", "run", "iris", "often", "--set", "max_depth=2"]).await;
    let by_hand = listed(&stack).await["last_run"].clone();
    assert!(by_hand["cause"].as_str().unwrap().ends_with("by cli (schedule often)"), "{by_hand}");
    assert_eq!(stack.sql(FIRED).await, "0");

    let told = stack.cli_ok(&["schedules", "resume", "iris", "often"]).await;
    assert!(told.contains("often of iris is on; it fires next on") && told.contains("Europe/Berlin"), "{told}");
    stack.sql_becomes(&format!("SELECT toString(({ENDED}) > '0')"), "1").await;
    stack.cli_ok(&["schedules", "pause", "iris", "often"]).await;
    let paused = listed(&stack).await;
    assert_eq!(paused["enabled"], false);
    assert!(paused["last_run"]["cause"].as_str().unwrap().ends_with(" by schedule often"), "{paused}");
    let page = stack.cli_ok(&["schedules"]).await;
    assert!(page.contains("iris often  * * * * * Europe/Berlin") && page.contains("paused since"), "{page}");

    let check = stack.cli_ok(&["check", "iris"]).await;
    assert!(check.contains("often: * * * * * Europe/Berlin"), "{check}");
    let unknown = stack.cli(&["schedules", "resume", "iris", "oftne"]).await;
    assert!(!unknown.status.success());
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("did you mean `often`"), "{unknown:?}");
    assert!(stack.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_trainers_and_a_kill_make_one_run_of_each_time() {
    let stack = Stack::start(Options { edit: often, ..Options::default() }).await;
    stack.serves("iris", |_| true).await;
    let other = |round: usize| {
        let mut command = stack.command();
        command.arg("train");
        Process::start("driftmill train", command, stack.pipelines.join(format!("other-{round}.log")))
    };
    let mut second = other(0);
    stack.cli_ok(&["schedules", "resume", "iris", "often"]).await;
    let more = async |than: u64| {
        eventually("the schedule fires", async || {
            let ended: u64 = stack.try_sql(ENDED).await.ok()?.parse().ok()?;
            (ended > than).then_some(ended)
        })
        .await
    };
    let so_far = more(0).await;
    second.kill();
    drop(second);
    let _third = other(1);
    more(so_far).await;
    stack.cli_ok(&["schedules", "pause", "iris", "often"]).await;
    // A time that was looked at just before the pause may still be on its way.
    eventually("every time that fired has a run that has ended", async || {
        (stack.sql(FIRED).await == stack.sql(ENDED).await).then_some(())
    })
    .await;
    let twice = "SELECT toString(count()) FROM (SELECT run_id FROM runs WHERE endsWith(cause, ' by schedule often') \
                 AND state NOT IN ('started', 'rolling_out', 'rolled_back') GROUP BY run_id HAVING count() > 1)";
    assert_eq!(stack.sql(twice).await, "0");
    let numbers = "SELECT toString(count() - uniqExact(version)) FROM model_versions WHERE pipeline = 'iris'";
    assert_eq!(stack.sql(numbers).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_takes_too_long_is_halted_and_tried_once_more() {
    // A search that no machine ends in so little time.
    let slow = |pipelines: &Path| {
        let space = "{ n_estimators: { integer: { from: 2000, to: 3000 } } }";
        let search =
            format!("  search: {{ candidates: 1000, folds: 10, method: random, when: always, space: {space} }}\n");
        training(pipelines, &format!("  timeout: 5\n  retries: 1\n  retry_after: 1\n{search}"));
    };
    let stack = Stack::start(Options { edit: slow, ..Options::default() }).await;
    let ended = eventually("two runs have ended", async || {
        let runs = runs(&stack).await;
        (runs.iter().filter(|run| run["state"] == "timed_out").count() == 2).then_some(runs)
    })
    .await;
    let told: Vec<_> = ended.iter().map(|run| (run["attempt"].clone(), run["cause"].clone())).collect();
    assert_eq!(told, [(json!(2), json!("first training (attempt 2)")), (json!(1), json!("first training"))]);
    let detail = |run: usize| ended[run]["detail"].as_str().unwrap();
    assert!(detail(1).contains("training.timeout") && detail(1).contains("attempt 2 of 2 begins at"), "{}", detail(1));
    assert!(!detail(0).contains("begins at"), "{}", detail(0));
    // All of it, with its log.
    let run = ended[1]["run"].as_str().unwrap();
    let page = stack.cli_ok(&["runs", "iris", &run[..8]]).await;
    for line in ["state    timed_out", "halted after 5 s", "150 labelled rows", "error took longer"] {
        assert!(page.contains(line), "{line}: {page}");
    }
    let url = format!("{}/api/v1/pipelines/iris/runs/{run}", stack.gateway);
    let found: Value = stack.http.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!((&found["state"], &found["attempt"]), (&json!("timed_out"), &json!(1)));
    assert!(found["logs"].as_array().unwrap().len() >= 3, "{found}");

    // With less to do it ends, and what is refused is not tried again.
    let said = stack.cli_ok(&["train", "iris", "--param", "n_estimators=3"]).await;
    assert!(said.contains("champion"), "{said}");
    stack.cli(&["train", "iris", "--param", "n_estimators=0"]).await;
    assert_eq!(runs(&stack).await[0]["state"], "failed");
    assert_eq!(stack.sql("SELECT toString(count()) FROM run_retries FINAL").await, "1");
    assert!(stack.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn wishes_of_one_key_are_one_run_and_enough_new_rows_are_a_reason() {
    let stack =
        Stack::start(Options { edit: |pipelines| training(pipelines, "  new_rows: 40\n"), ..Options::default() }).await;
    stack.serves("iris", |_| true).await;
    let wish = async |key: &str| {
        let url = format!("{}/api/v1/pipelines/iris/trainings", stack.gateway);
        let body = json!({ "params": { "n_estimators": 7 }, "reason": "a webhook" });
        let asked = stack.http.post(url).header("idempotency-key", key).json(&body).send().await.unwrap();
        assert_eq!(asked.status(), 202);
        asked.json::<Value>().await.unwrap()
    };
    let ended = async |wished: &Value| {
        eventually("the run has ended", async || {
            let url = format!("{}{}", stack.gateway, wished["look"].as_str()?);
            let run: Value = stack.http.get(url).send().await.ok()?.json().await.ok()?;
            (run["state"].as_str()? != "started").then_some(run)
        })
        .await
    };
    let first = wish("order-17").await;
    assert_eq!(wish("order-17").await, first);
    let run = ended(&first).await;
    assert!(run["logs"][0]["line"].as_str().unwrap().contains("a webhook"), "{run}");
    // Once more after it has ended, and another behind it: the first is not run again.
    assert_eq!(wish("order-17").await, first);
    ended(&wish("order-18").await).await;
    let wished = "SELECT toString(countIf(state = 'started')) FROM runs WHERE endsWith(cause, ' by api')";
    assert_eq!(stack.sql(wished).await, "2");

    let send = async |rows: usize| {
        let rows: String = (0..rows).map(|row| format!("5.{},3.4,1.{},0.2,setosa\n", row % 10, row % 7)).collect();
        let header = "sepal_length,sepal_width,petal_length,petal_width,species\n";
        let fed = stack.feed(&["produce", "iris", "--stdin", "--format", "csv"], format!("{header}{rows}")).await;
        assert!(fed.status.success(), "{fed:?}");
    };
    let by_rows =
        "SELECT toString(uniqExact(run_id)) FROM runs WHERE endsWith(cause, ' by new_rows') AND state != 'started'";
    send(39).await;
    stack.sql_becomes("SELECT count() FROM iris_features", "189").await;
    stack.cli_ok(&["schedules", "pause", "iris", "new_rows"]).await;
    send(1).await;
    stack.sql_becomes("SELECT count() FROM iris_features", "190").await;
    assert_eq!(listed(&stack).await["enabled"], false);
    assert_eq!(stack.sql(by_rows).await, "0");
    stack.cli_ok(&["schedules", "resume", "iris", "new_rows"]).await;
    stack.sql_becomes(by_rows, "1").await;
    // They are counted from that one on.
    send(10).await;
    stack.sql_becomes("SELECT count() FROM iris_features", "200").await;
    let page = stack.cli_ok(&["schedules", "iris"]).await;
    assert!(page.contains("iris new_rows  40 new rows") && page.contains("by new_rows"), "{page}");
    assert_eq!(stack.sql(by_rows).await, "1");
    assert!(stack.stop().await);
}
