//! Errors, requests and what is not asked twice, against a stand-in. The real server is in `tests/server`.

mod stand_in;

use std::time::Duration;

use serde_json::json;

use self::stand_in::{Answer, Asked, StandIn};
use crate::{Error, Mirror, MlflowSettings, Model, Retry, Run, State, StepMetric};

fn settings(address: &str) -> MlflowSettings {
    MlflowSettings::new(address).unwrap().with_token("s3cret")
}

async fn mirrored_by(answer: Answer) -> Error {
    let server = StandIn::start(move |_| answer.clone()).await;
    let run = Run { pipeline: "iris".to_owned(), ..Run::default() };
    Mirror::new(&settings(&server.address)).unwrap().mirror(&run).await.unwrap_err()
}

/// A server that has all of a run, but its files: those are in `place`.
fn knows_the_run(place: &'static str, steps: usize) -> impl Fn(&Asked) -> Answer {
    move |asked| {
        let info = json!({ "run_id": "r", "artifact_uri": "mlflow-artifacts:/1/r/artifacts" });
        let path = asked.path.split('?').next().unwrap_or_default();
        let answer = match path.rsplit("/mlflow/").next().unwrap_or_default() {
            "experiments/get-by-name" => json!({ "experiment": { "experiment_id": "1", "lifecycle_stage": "active" } }),
            "runs/search" => json!({ "runs": [{ "info": info }] }),
            "runs/get" => json!({ "run": {
                "info": info,
                "data": { "tags": [{ "key": "driftmill.mirrored_steps", "value": steps.to_string() }] },
                "outputs": { "model_outputs": [{ "model_id": "m-1" }] },
            } }),
            "logged-models/search" => json!({ "models": [{ "info": {
                "model_id": "m-1", "artifact_uri": place, "status": "LOGGED_MODEL_PENDING",
            } }] }),
            "model-versions/search" => json!({ "model_versions": [{ "name": "iris", "version": "3" }] }),
            _ => json!({}),
        };
        Answer::new(200, answer.to_string())
    }
}

fn run() -> Run {
    let steps = (0..2_500).map(|step| StepMetric { name: "loss".to_owned(), step, value: 0.5, at: step });
    Run {
        pipeline: "iris".to_owned(),
        state: State::Finished,
        metrics: [("accuracy".to_owned(), 1.0), ("loss".to_owned(), f64::NAN)].into(),
        steps: steps.collect(),
        model: Some(Model { version: 12, file_name: "iris.dm".to_owned(), ..Model::default() }),
        ..Run::default()
    }
}

#[tokio::test]
async fn a_server_that_is_away_or_overloaded_is_asked_again_later() {
    let nobody = Mirror::new(&settings("http://127.0.0.1:1")).unwrap();
    let error = nobody.mirror(&Run::default()).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Later(None), "{error}");
    assert!(error.to_string().contains("find the experiment"), "{error}");

    let busy = Answer { headers: "Retry-After: 7\r\n", ..Answer::new(429, "slow down") };
    assert_eq!(mirrored_by(busy).await.retry(), Retry::Later(Some(Duration::from_secs(7))));
    let error = mirrored_by(Answer::new(503, r#"{"error_code":"TEMPORARILY_UNAVAILABLE","message":"later"}"#)).await;
    assert_eq!(error.retry(), Retry::Later(None));
    assert!(error.to_string().contains("503 TEMPORARILY_UNAVAILABLE: later"), "{error}");
    assert_eq!(mirrored_by(Answer::new(502, "<html>")).await.retry(), Retry::Later(None));

    let cut = Answer { missing: 10, ..Answer::new(200, r#"{"experiment":"#) };
    assert_eq!(mirrored_by(cut).await.retry(), Retry::Later(None));
}

#[tokio::test]
async fn a_refusal_is_final_and_holds_the_servers_words_and_no_secret() {
    for (answer, part) in [
        (Answer::new(401, "You are not authenticated."), "set MLFLOW_TRACKING_USERNAME"),
        (Answer::new(403, r#"{"error_code":"PERMISSION_DENIED","message":"no"}"#), "403 PERMISSION_DENIED: no"),
        (Answer::new(400, r#"{"error_code":"INVALID_PARAMETER_VALUE","message":"bad"}"#), "400 INVALID_PARAMETER"),
        (Answer::new(404, "<html>"), "MLflow 3 server"),
        (Answer { headers: "Location: http://h/\r\n", ..Answer::new(302, "") }, "redirects are not followed"),
        (Answer::new(200, "<html>"), "MLflow 3 server"),
        (
            Answer::new(200, r#"{"experiment":{"experiment_id":"4","lifecycle_stage":"deleted"}}"#),
            "restore --experiment-id 4",
        ),
    ] {
        let error = mirrored_by(answer).await;
        assert_eq!(error.retry(), Retry::Never, "{error}");
        let text = format!("{error} {error:?}");
        assert!(text.contains(part) && !text.contains("s3cret"), "{text}");
    }
}

#[tokio::test]
async fn a_path_of_the_address_is_kept_and_the_login_is_sent() {
    let server = StandIn::start(knows_the_run("mlflow-artifacts:/1/models/m-1/artifacts", 0)).await;
    let mirror = Mirror::new(&settings(&format!("{}/ml/flow/", server.address))).unwrap();
    mirror.mirror(&run()).await.unwrap();
    let asked = server.asked();
    assert!(asked.iter().all(|asked| asked.path.starts_with("/ml/flow/api/2.0/mlflow")));
    assert!(asked.iter().all(|asked| asked.head.contains("uthorization: Bearer s3cret")));
    assert!(!format!("{mirror:?}").contains("s3cret"));
    let files: Vec<&str> =
        asked.iter().filter(|a| a.method == "PUT").filter_map(|a| a.path.rsplit('/').next()).collect();
    assert_eq!(files, ["iris.dm", "MODEL_CARD.md", "MLmodel"]);
}

#[tokio::test]
async fn what_is_there_is_not_made_again_and_metrics_go_on_where_they_stopped() {
    for (had, batches) in [(0, vec![999, 999, 502, 2]), (999, vec![999, 502, 2]), (2_500, vec![2]), (9_999, vec![2])] {
        let server = StandIn::start(knows_the_run("mlflow-artifacts:/1/models/m-1/artifacts", had)).await;
        let mirrored = Mirror::new(&settings(&server.address)).unwrap().mirror(&run()).await.unwrap();
        assert_eq!((mirrored.run_id.as_str(), mirrored.model_version.as_deref()), ("r", Some("3")));
        let asked = server.asked();
        let made = ["/create", "/logged-models", "/outputs"];
        assert!(asked.iter().all(|asked| made.iter().all(|end| !asked.path.ends_with(end))), "{asked:?}");
        let sent: Vec<_> = asked.iter().filter_map(|asked| asked.body["metrics"].as_array()).collect();
        assert_eq!(sent.iter().map(|metrics| metrics.len()).collect::<Vec<_>>(), batches);
        let last = sent.last().unwrap();
        assert_eq!((&last[1]["value"], &last[1]["step"]), (&json!("NaN"), &json!(2_499)));
        assert_eq!((&last[0]["step"], &last[0]["model_id"]), (&json!(0), &json!("m-1")));
    }
}

#[tokio::test]
async fn a_run_under_way_is_shown_without_an_end() {
    let server = StandIn::start(knows_the_run("", 0)).await;
    let under_way = Run { state: State::Running, model: None, ..run() };
    Mirror::new(&settings(&server.address)).unwrap().mirror(&under_way).await.unwrap();
    let asked = server.asked();
    let end = asked.last().unwrap();
    assert_eq!((&end.body["status"], end.body.get("end_time")), (&json!("RUNNING"), None));
    assert_eq!(asked.iter().filter(|asked| asked.body.get("metrics").is_some()).count(), 3);
}

#[tokio::test]
async fn a_server_that_takes_no_files_says_how_it_would() {
    let server = StandIn::start(knows_the_run("s3://bucket/1", 0)).await;
    let error = Mirror::new(&settings(&server.address)).unwrap().mirror(&run()).await.unwrap_err();
    assert!(matches!(&error, Error::NoUpload { place, .. } if place == "s3://bucket/1"), "{error}");
    assert_eq!(error.retry(), Retry::Never);
}

#[tokio::test]
async fn an_alias_is_pointed_to_our_version_by_the_servers_number() {
    let server = StandIn::start(knows_the_run("", 0)).await;
    let mirror = Mirror::new(&settings(&server.address)).unwrap();
    assert!(mirror.set_alias("iris", "champion", 12).await.unwrap());
    let asked = server.asked();
    assert!(asked[0].path.contains("driftmill.version"));
    assert_eq!(asked[1].body, json!({ "name": "iris", "alias": "champion", "version": "3" }));
    assert!(!mirror.set_alias("other", "champion", 12).await.unwrap());
}
