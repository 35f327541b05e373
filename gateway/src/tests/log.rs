//! The prediction log.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::fixture::{Delivery, FakeSink, Gateway, flower_tensors, loan};
use crate::asked::Asked;
use crate::log::PredictionLog;
use crate::request_id::RequestId;

#[tokio::test]
async fn every_answered_row_is_logged_as_it_was_answered() {
    let gateway = Gateway::with_models().await;
    let reply = gateway.post("/predict", &json!({ "input": [[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]] })).await;
    let id = reply.headers["x-request-id"].to_str().unwrap().to_owned();
    gateway.post("/predict/", &loan(&[("annual_income", json!(null))])).await;
    // What is refused is not logged.
    gateway.post("/predict", &json!({ "input": [["x"]] })).await;
    gateway.log_is_quiet().await;

    let logged = gateway.sink.predictions();
    assert_eq!(logged.len(), 3);
    for (row, class) in [(0, "setosa"), (1, "virginica")] {
        let (topic, key, prediction) = &logged[row];
        assert_eq!((topic.as_str(), key), ("iris.predictions", &id));
        assert_eq!((&prediction.request_id, prediction.row as usize), (&id, row));
        assert_eq!((prediction.model_version, prediction.at), (3, 1_700_000_000_000));
        assert_eq!((prediction.dialect.as_str(), prediction.prediction.as_str()), ("iris", class));
        assert_eq!(prediction.probabilities.len(), 3);
    }
    assert_eq!(logged[0].2.features["petal_width"], Some(0.2));
    let (topic, _, prediction) = &logged[2];
    assert_eq!((topic.as_str(), prediction.dialect.as_str()), ("loan.predictions", "loan"));
    // A gap is null, and so is what is computed from it.
    assert_eq!((prediction.features["annual_income"], prediction.features["amount_to_income"]), (None, None));
    assert_eq!(gateway.app.meters.log_rows("iris"), (2, 2, 0));
}

#[tokio::test]
async fn rows_that_kafka_refuses_are_counted_and_the_client_has_its_answer() {
    let gateway = Gateway::with_models().await;
    gateway.sink.set(Delivery::RefuseAllButOne);
    let reply = gateway.post("/v2/models/iris/infer", &flower_tensors(&[[1.0; 4]; 10])).await;
    assert_eq!(reply.status, 200);
    gateway.log_is_quiet().await;
    assert_eq!(gateway.app.meters.log_rows("iris"), (10, 1, 9));
    assert!(gateway.get("/metrics").await.text().contains(r#"dropped_rows_total{model="iris",reason="delivery"} 9"#));
}

/// An answer of `rows` rows.
fn ask(gateway: &Gateway, rows: usize) -> (Asked, crate::answer::Answer) {
    let served = Arc::clone(gateway.served("iris"));
    let mut filled = served.slot.get().unwrap().rows(rows);
    (0..rows).for_each(|_| filled.push().unwrap());
    let asked = Asked { app: Arc::clone(&gateway.app), served, dialect: "v2", id: RequestId::from("r") };
    (asked, filled.answer().unwrap())
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_or_no_time_is_counted_so_that_the_sum_is_exact() {
    let gateway = Gateway::with_models().await;
    let sink = Arc::new(FakeSink::default());
    sink.set(Delivery::Hang);
    let log =
        PredictionLog::with_capacity(sink.clone(), gateway.app.meters.clone(), Arc::clone(&gateway.app.clock), 10);
    let record = |rows| {
        let (asked, answer) = ask(&gateway, rows);
        log.record(&asked, answer);
    };
    record(6);
    record(4);
    record(3);
    assert_eq!(gateway.app.meters.log_rows("iris"), (10, 0, 3));
    log.close(Duration::from_secs(1)).await;
    assert_eq!(gateway.app.meters.log_rows("iris"), (10, 0, 3), "they are still on their way");
}

#[test]
fn what_has_not_arrived_when_the_process_ends_is_counted() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let gateway = runtime.block_on(async {
        let gateway = Gateway::with_models().await;
        gateway.sink.set(Delivery::Hang);
        let (asked, answer) = ask(&gateway, 7);
        gateway.app.log.record(&asked, answer);
        tokio::task::yield_now().await;
        gateway
    });
    drop(runtime);
    assert_eq!(gateway.app.meters.log_rows("iris"), (7, 0, 7));
}

#[tokio::test]
async fn a_request_larger_than_the_log_s_room_is_logged_when_the_room_is_free() {
    let gateway = Gateway::with_models().await;
    let sink = Arc::new(FakeSink::default());
    let log = PredictionLog::with_capacity(sink.clone(), gateway.app.meters.clone(), Arc::clone(&gateway.app.clock), 4);
    let (asked, answer) = ask(&gateway, 9);
    log.record(&asked, answer);
    log.close(Duration::from_secs(30)).await;
    assert_eq!((sink.predictions().len(), gateway.app.meters.log_rows("iris")), (9, (9, 9, 0)));
}
