//! MLflow's scoring protocol.

use serde_json::{Value, json};

use super::fixture::{Gateway, flowers};

fn refusal(reply: &super::fixture::Reply) -> (u16, String) {
    let body = reply.json();
    assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
    assert!(body["error_code"].is_string());
    (reply.status.as_u16(), body["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn every_form_gives_the_answers_of_the_other_dialects() {
    let gateway = Gateway::with_models().await;
    let rows: Vec<[f64; 4]> = flowers().iter().map(|(row, _)| *row).step_by(10).collect();
    let expected = gateway.post("/predict", &json!({ "input": rows })).await.json()["target_names"].clone();
    let names = ["sepal_length", "sepal_width", "petal_length", "petal_width"];
    let records: Vec<Value> = rows
        .iter()
        .map(|row| json!({ names[0]: row[0], names[1]: row[1], names[2]: row[2], names[3]: row[3] }))
        .collect();
    let column = |i: usize| rows.iter().map(|row| row[i]).collect::<Vec<f64>>();
    let forms = [
        json!({ "dataframe_split": { "columns": names, "data": rows } }),
        json!({ "dataframe_records": records }),
        json!({ "instances": rows }),
        json!({ "inputs": rows, "params": {} }),
        json!({ "inputs": { names[0]: column(0), names[1]: column(1), names[2]: column(2), names[3]: column(3) } }),
    ];
    for form in forms {
        for path in ["/invocations", "/invocations?model=iris"] {
            let reply = gateway.post(path, &form).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            assert_eq!(reply.json(), json!({ "predictions": expected }));
            assert_eq!(reply.headers["x-model-version"], "3");
        }
    }
    let mut csv = names.join(",");
    rows.iter().for_each(|row| csv.push_str(&format!("\n{},{},{},{}", row[0], row[1], row[2], row[3])));
    let mut request = super::fixture::request(axum::http::Method::POST, "/invocations", csv.into());
    request.headers_mut().insert("content-type", "text/csv".parse().unwrap());
    assert_eq!(gateway.send(request).await.json()["predictions"], expected);
    gateway.log_is_quiet().await;
    assert!(gateway.sink.predictions().iter().any(|(_, _, logged)| logged.dialect == "invocations"));
}

#[tokio::test]
async fn classes_that_are_numbers_are_answered_as_numbers_and_the_columns_tell_the_model() {
    let gateway = Gateway::with_models().await;
    let loan = super::fixture::loan(&[]);
    let reply = gateway.post("/invocations", &json!({ "dataframe_records": [loan] })).await;
    assert_eq!(reply.json(), json!({ "predictions": [1] }), "{}", reply.text());
}

#[tokio::test]
async fn what_cannot_be_answered_is_said_in_mlflows_shape() {
    let gateway = Gateway::with_models().await;
    for (path, body, status, expected) in [
        ("/invocations", json!({}), 400, "0 of the keys"),
        ("/invocations", json!({ "inputs": [[1, 2]] }), 400, "?model=NAME, one of iris, loan"),
        ("/invocations?model=irs", json!({ "inputs": [[1, 2]] }), 404, "did you mean `iris`"),
        ("/invocations?model=iris", json!({ "inputs": [[1, 2]] }), 400, "takes 4: sepal_length"),
        (
            "/invocations?model=iris",
            json!({ "dataframe_records": [{ "sepal_length": 1 }] }),
            400,
            "column `sepal_width`",
        ),
        ("/invocations?model=iris", json!({ "inputs": [["a", 1, 1, 1]] }), 400, "row 0"),
        ("/invocations?model=iris", json!({ "inputs": [] }), 400, "no rows"),
    ] {
        let (found, message) = refusal(&gateway.post(path, &body).await);
        assert_eq!(found, status, "{body}: {message}");
        assert!(message.contains(expected), "{body}: {message}");
    }
    let (status, _) = refusal(&gateway.get("/invocations").await);
    assert_eq!(status, 405);
    assert_eq!((gateway.get("/ping").await.status.as_u16(), gateway.get("/version").await.status.as_u16()), (200, 200));
}
