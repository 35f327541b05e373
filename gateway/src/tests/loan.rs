//! The loan contract.

use serde_json::{Value, json};

use super::fixture::{Gateway, bundled, loan, without};

#[tokio::test]
async fn a_request_is_answered_with_0_or_1() {
    let gateway = Gateway::with_models().await;
    for (score, prediction) in [(700.0, 1), (400.0, 0)] {
        let reply = gateway.post("/predict/", &loan(&[("credit_score", json!(score))])).await;
        assert_eq!((reply.status.as_u16(), reply.json()), (200, json!({ "prediction": prediction })));
        assert_eq!(reply.headers["x-model-version"], "5");
    }
}

#[tokio::test]
async fn fields_with_gaps_may_be_null_and_whole_floats_are_ints() {
    let gateway = Gateway::with_models().await;
    let gaps: Vec<(&str, Value)> = ["age", "annual_income", "credit_score", "loan_amount", "number_of_open_accounts"]
        .map(|field| (field, Value::Null))
        .to_vec();
    assert_eq!(gateway.post("/predict/", &loan(&gaps)).await.status, 200);
    assert_eq!(gateway.post("/predict/", &loan(&[("id", json!(7.0)), ("age", json!(40))])).await.status, 200);
}

#[tokio::test]
async fn errors_of_the_schema_are_422_in_fastapi_s_shape_and_all_at_once() {
    let gateway = Gateway::with_models().await;
    let detail = async |body: Value| {
        let reply = gateway.post("/predict/", &body).await;
        assert_eq!(reply.status, 422, "{body}");
        reply.json()["detail"].as_array().unwrap().clone()
    };
    let of = |detail: &Value| (detail["loc"].clone(), detail["type"].clone(), detail["msg"].clone());

    let missing = detail(without(loan(&[]), "age")).await;
    assert_eq!(missing.len(), 1);
    assert_eq!(of(&missing[0]), (json!(["body", "age"]), json!("missing"), json!("Field required")));

    let wrong =
        detail(loan(&[("age", json!("forty")), ("loan_duration_years", json!(2.5)), ("id", Value::Null)])).await;
    let found: Vec<_> = wrong.iter().map(|detail| (detail["loc"][1].clone(), detail["type"].clone())).collect();
    assert_eq!(
        found,
        [
            (json!("id"), json!("int_type")),
            (json!("age"), json!("float_type")),
            (json!("loan_duration_years"), json!("int_from_float")),
        ]
    );
    assert_eq!((&wrong[1]["msg"], &wrong[1]["input"]), (&json!("Input should be a valid number"), &json!("forty")));

    let extra = detail(loan(&[("credit_scor", json!(1))])).await;
    assert_eq!(extra[0]["type"], "extra_forbidden");
    assert!(extra[0]["msg"].as_str().unwrap().contains("did you mean `credit_score`"), "{extra:?}");

    assert_eq!(of(&detail(json!([])).await[0]).1, "model_attributes_type");
    let huge = detail(loan(&[("age", json!("x".repeat(100_000)))])).await;
    assert!(huge[0].to_string().len() < 1_000);
}

#[tokio::test]
async fn what_is_no_json_is_422_too() {
    let gateway = Gateway::with_models().await;
    for (body, kind) in [("", "missing"), ("{", "json_invalid"), ("{\"age\":NaN}", "json_invalid")] {
        let reply = gateway.post_text("/predict/", body).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["detail"][0]["type"]), (422, &json!(kind)), "{body}");
    }
}

#[tokio::test]
async fn every_other_error_is_a_detail() {
    let gateway = Gateway::new(vec![bundled("loan")]);
    let reply = gateway.post("/predict/", &loan(&[])).await;
    assert_eq!(reply.status, 400);
    assert!(reply.json()["detail"].as_str().unwrap().contains("no model"));
    let reply = gateway.get("/predict/").await;
    assert_eq!((reply.status.as_u16(), reply.headers["allow"].to_str().unwrap()), (405, "POST"));
    assert!(reply.json()["detail"].is_string());
    // The other contract's path is not there when its pipeline is not.
    assert_eq!(gateway.post("/predict", &json!({})).await.error().0, 404);
}
