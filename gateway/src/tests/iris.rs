//! The iris contract.

use axum::body::Body;
use axum::http::Method;
use driftmill_schemas::message::RunState;
use serde_json::{Value, json};

use super::fixture::{Gateway, bundled, iris_forest, request};

#[tokio::test]
async fn rows_are_answered_with_class_indices_and_the_name_of_each() {
    let gateway = Gateway::with_models().await;
    let input = json!({ "input": [[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5], [5, 3, 1, 0]] });
    let reply = gateway.post("/predict", &input).await;
    let wanted = json!({ "predictions": [0, 2, 0], "target_names": ["setosa", "virginica", "setosa"] });
    assert_eq!((reply.status.as_u16(), reply.json()), (200, wanted));
    assert_eq!(reply.headers["x-model-version"], "3");
}

#[tokio::test]
async fn without_a_model_the_contract_says_to_train_one_and_a_restart_keeps_it() {
    let gateway = Gateway::new(vec![bundled("iris")]);
    let input = json!({ "input": [[5.1, 3.5, 1.4, 0.2]] });
    let refusal = (400, "Model not trained. Train the model first using /train.".to_owned());
    assert_eq!(gateway.post("/predict", &input).await.error(), refusal);
    gateway.serve("iris", 1, iris_forest()).await;
    assert_eq!(gateway.post("/predict", &input).await.status, 200);
}

#[tokio::test]
async fn what_is_no_matrix_is_refused_in_the_contract_s_words() {
    let gateway = Gateway::with_models().await;
    for body in ["", "  ", "{}", r#"{"input":null}"#, r#"{"input":[]}"#, "[1]", "\"x\"", r#"{"inputs":[[1]]}"#] {
        let refusal = (400, "No input data provided".to_owned());
        assert_eq!(gateway.post_text("/predict", body).await.error(), refusal, "{body}");
    }
    for input in [
        json!("5.1"),
        json!(5.1),
        json!({ "a": 1 }),
        json!([5.1, 3.5, 1.4, 0.2]),
        json!([[5.1, "3.5", 1.4, 0.2]]),
        json!([[5.1, null, 1.4, 0.2]]),
        json!([[5.1, true, 1.4, 0.2]]),
        json!([[[5.1], 3.5, 1.4, 0.2]]),
        json!([[5.1, 3.5, 1.4, 0.2], "x"]),
    ] {
        let refusal = (400, "Invalid input format. It should be a list of list of numbers".to_owned());
        assert_eq!(gateway.post("/predict", &json!({ "input": input })).await.error(), refusal, "{input}");
    }
    for input in [json!([[]]), json!([[5.1, 3.5, 1.4]]), json!([[5.1, 3.5, 1.4, 0.2], [5.1, 3.5, 1.4, 0.2, 1]])] {
        let (status, message) = gateway.post("/predict", &json!({ "input": input })).await.error();
        assert!(status == 400 && message.contains("takes 4: sepal_length, sepal_width"), "{message}");
    }
}

/// The event of a run that answers `id`.
fn event(id: impl serde::Serialize, state: RunState) -> Vec<u8> {
    let event = json!({
        "run_id": "00000000-0000-7000-8000-000000000001",
        "cause": "request",
        "request_id": id,
        "pipeline": "iris",
        "at": 0,
        "state": state,
        "detail": "no better than the champion",
        "metrics": {
            "accuracy": 0.9, "weighted_precision": 0.8, "weighted_recall": 0.7, "weighted_f1": 0.6, "f1": 0.1,
        },
    });
    event.to_string().into_bytes()
}

/// Sends `body` to `/train` and ends the training in `state`.
async fn train(body: &str, state: RunState) -> (u16, Value, serde_json::Map<String, Value>) {
    let mut gateway = Gateway::new(vec![bundled("iris")]);
    let app = std::sync::Arc::clone(&gateway.app);
    let trainer = async {
        let wish = gateway.trainings.recv().await.unwrap();
        assert_eq!((wish.pipeline.as_str(), wish.requested_by.as_str(), wish.force), ("iris", "iris contract", false));
        app.trainings.observe(b"no event");
        app.trainings.observe(&event(uuid::Uuid::nil(), RunState::Promoted));
        app.trainings.observe(&event(wish.id, RunState::Started));
        app.trainings.observe(&event(wish.id, state));
        wish.params
    };
    let router = crate::router::router(&app);
    let client = tower::ServiceExt::oneshot(router, request(Method::POST, "/train", Body::from(body.to_owned())));
    let (response, params) = tokio::join!(client, trainer);
    let response = response.unwrap();
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert_eq!(app.trainings.waiting(), 0);
    (status, serde_json::from_slice(&bytes).unwrap(), params)
}

#[tokio::test]
async fn a_training_is_awaited_and_answered_with_the_contract_s_metrics() {
    let metrics = json!({ "accuracy": 0.9, "precision": 0.8, "recall": 0.7, "f1_score": 0.6 });
    let (status, answer, params) = train(r#"{"n_estimators":100,"max_depth":null}"#, RunState::Promoted).await;
    assert_eq!(
        (status, &answer),
        (200, &json!({ "message": "Model trained and logged to MLflow", "metrics": metrics }))
    );
    assert_eq!(Value::from(params), json!({ "n_estimators": 100, "max_depth": null }));

    let (status, answer, params) = train("", RunState::Refused).await;
    assert_eq!((status, &answer["metrics"], &answer["promoted"]), (200, &metrics, &json!(false)));
    assert_eq!(answer["reason"], "no better than the champion");
    assert!(params.is_empty(), "the pipeline's own parameters are the trainer's to know");

    let (status, answer, _) = train("{}", RunState::Failed).await;
    assert_eq!((status, answer), (500, json!({ "error": "the training failed: no better than the champion" })));
}

#[tokio::test]
async fn parameters_that_no_forest_has_are_refused_before_anything_starts() {
    let mut gateway = Gateway::new(vec![bundled("iris")]);
    for (body, part) in [
        (r#"{"n_estimator":10}"#, "did you mean `n_estimators`"),
        (r#"{"n_estimators":0}"#, "`n_estimators` must be a whole number from 1 to 10000"),
        (r#"{"n_estimators":null}"#, "`n_estimators`"),
        (r#"{"n_estimators":"100"}"#, "`n_estimators`"),
        (r#"{"max_depth":2.5}"#, "`max_depth`"),
        (r#"{"max_depth":-1}"#, "`max_depth`"),
        ("[]", "list"),
        ("{", "EOF"),
    ] {
        let (status, message) = gateway.post_text("/train", body).await.error();
        assert!(status == 400 && message.contains(part), "{body}: {message}");
    }
    assert!(gateway.trainings.try_recv().is_err());
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_behind() {
    let mut gateway = Gateway::new(vec![bundled("iris")]);
    let router = crate::router::router(&gateway.app);
    let client = tokio::spawn(tower::ServiceExt::oneshot(router, request(Method::POST, "/train", Body::empty())));
    let wish = gateway.trainings.recv().await.unwrap();
    assert_eq!(gateway.app.trainings.waiting(), 1);
    client.abort();
    assert!(client.await.unwrap_err().is_cancelled());
    assert_eq!(gateway.app.trainings.waiting(), 0);
    gateway.app.trainings.observe(&event(wish.id, RunState::Promoted));
}

#[tokio::test(start_paused = true)]
async fn a_training_without_end_is_a_gateway_timeout_and_a_shutdown_ends_the_wait() {
    let gateway = Gateway::new(vec![bundled("iris")]);
    let (status, message) = gateway.post_text("/train", "{}").await.error();
    assert!(status == 504 && message.contains("goes on"), "{message}");
    gateway.stop.cancel();
    assert_eq!(gateway.post_text("/train", "{}").await.error().0, 503);
    assert_eq!(gateway.app.trainings.waiting(), 0);
}
