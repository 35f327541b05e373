//! Inference over the Open Inference Protocol.

use serde_json::{Value, json};

use super::fixture::{
    Gateway, artifact_of, bundled, constant, flower_tensors, flowers, loan, output, pipeline, tensors,
};

const SETOSA: [f64; 4] = [5.1, 3.5, 1.4, 0.2];

#[tokio::test]
async fn a_row_of_tensors_is_answered_with_its_class_and_probabilities() {
    let gateway = Gateway::with_models().await;
    let mut request = flower_tensors(&[SETOSA, [6.3, 3.3, 6.0, 2.5]]);
    request["id"] = json!("mine");
    let reply = gateway.post("/v2/models/iris/infer", &request).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer = reply.json();
    assert_eq!(
        (&answer["model_name"], &answer["model_version"], &answer["id"]),
        (&json!("iris"), &json!("3"), &json!("mine"))
    );
    assert_eq!(
        answer["outputs"][0],
        json!({ "name": "predict", "shape": [2], "datatype": "BYTES", "data": ["setosa", "virginica"] })
    );
    assert_eq!((&answer["outputs"][1]["shape"], &answer["outputs"][1]["datatype"]), (&json!([2, 3]), &json!("FP64")));
    assert_eq!(output(&answer, "probabilities").len(), 6);
    assert_eq!(gateway.post("/v2/models/iris/versions/3/infer", &request).await.json()["outputs"], answer["outputs"]);
}

#[tokio::test]
async fn every_form_gives_the_same_bits_and_so_does_the_contract() {
    let gateway = Gateway::with_models().await;
    // Values that no short decimal names, so that a detour over another type would show.
    let rows: Vec<[f64; 4]> = flowers().iter().map(|(row, _)| row.map(|x| x + 1.0 / 3.0)).collect();
    let matrix =
        |data: Value| json!({ "inputs": [{ "name": "input", "shape": [150, 4], "datatype": "FP64", "data": data }] });
    let flat: Vec<f64> = rows.iter().flatten().copied().collect();
    let mut column = flower_tensors(&rows);
    for tensor in column["inputs"].as_array_mut().unwrap() {
        tensor["shape"] = json!([150, 1]);
        tensor["data"] = tensor["data"].as_array().unwrap().iter().map(|value| json!([value])).collect();
    }
    let forms = [flower_tensors(&rows), column, matrix(json!(flat)), matrix(json!(rows))];
    let mut answers = Vec::new();
    for form in &forms {
        let reply = gateway.post("/v2/models/iris/infer", form).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        answers.push(reply.json()["outputs"].clone());
    }
    assert!(answers.iter().all(|outputs| *outputs == answers[0]));
    let contract = gateway.post("/predict", &json!({ "input": rows })).await.json();
    assert_eq!(contract["target_names"], answers[0][0]["data"]);
    gateway.log_is_quiet().await;
    let logged: Vec<_> =
        gateway.sink.predictions().into_iter().map(|(_, _, p)| (p.features, p.probabilities)).collect();
    assert_eq!(logged.len(), 5 * 150);
    for form in logged.chunks(150) {
        assert_eq!(form, &logged[..150]);
    }
    for ((features, _), row) in logged.iter().zip(&rows) {
        assert_eq!(features["petal_length"].unwrap().to_bits(), row[2].to_bits());
    }
}

#[tokio::test]
async fn one_row_alone_and_among_others_gives_the_same_bits() {
    let gateway = Gateway::with_models().await;
    let rows: Vec<[f64; 4]> = flowers().iter().map(|(row, _)| *row).cycle().take(1_500).collect();
    let all = gateway.post("/v2/models/iris/infer", &flower_tensors(&rows)).await.json();
    for i in [0, 77, 1_400] {
        let one = gateway.post("/v2/models/iris/infer", &flower_tensors(&rows[i..=i])).await.json();
        assert_eq!(output(&one, "probabilities"), &output(&all, "probabilities")[3 * i..3 * i + 3]);
    }
}

#[tokio::test]
async fn only_the_outputs_asked_for_are_sent_in_their_order() {
    let gateway = Gateway::with_models().await;
    let mut request = flower_tensors(&[SETOSA]);
    let names = async |request: &Value| -> Vec<String> {
        let answer = gateway.post("/v2/models/iris/infer", request).await.json();
        answer["outputs"].as_array().unwrap().iter().map(|o| o["name"].as_str().unwrap().to_owned()).collect()
    };
    request["outputs"] = json!([{ "name": "probabilities" }]);
    assert_eq!(names(&request).await, ["probabilities"]);
    request["outputs"] = json!([{ "name": "probabilities" }, { "name": "predict", "parameters": {} }]);
    assert_eq!(names(&request).await, ["probabilities", "predict"]);
    request["outputs"] = json!([]);
    assert_eq!(names(&request).await, ["predict", "probabilities"]);
    request["outputs"] = json!([{ "name": "prediction" }]);
    let (status, message) = gateway.post("/v2/models/iris/infer", &request).await.error();
    assert!(status == 400 && message.contains("did you mean `predict`"), "{message}");
}

#[tokio::test]
async fn a_request_without_an_id_gets_the_one_of_its_header() {
    let gateway = Gateway::with_models().await;
    let reply = gateway.post("/v2/models/iris/infer", &flower_tensors(&[SETOSA])).await;
    assert_eq!(reply.json()["id"].as_str(), reply.headers["x-request-id"].to_str().ok());
}

#[tokio::test]
async fn nulls_and_missing_tensors_are_gaps_where_the_field_has_gaps_and_errors_elsewhere() {
    let gateway = Gateway::with_models().await;
    let given = |columns: &[(&str, &str, Value)]| tensors(columns);
    let full = [
        ("age", "FP64", json!([null])),
        ("annual_income", "FP64", json!([null])),
        ("credit_score", "FP64", json!([700.0])),
        ("loan_amount", "FP64", json!([null])),
        ("loan_duration_years", "INT32", json!([5])),
        ("number_of_open_accounts", "FP64", json!([null])),
        ("had_past_default", "INT32", json!([0])),
    ];
    let with_nulls = gateway.post("/v2/models/loan/infer", &given(&full)).await;
    assert_eq!(with_nulls.status, 200, "{}", with_nulls.text());
    let sparse = [full[2].clone(), full[4].clone(), full[6].clone()];
    let left_out = gateway.post("/v2/models/loan/infer", &given(&sparse)).await;
    assert_eq!(left_out.json()["outputs"], with_nulls.json()["outputs"]);
    let gaps = ["age", "annual_income", "loan_amount", "number_of_open_accounts"].map(|field| (field, Value::Null));
    let contract = gateway.post("/predict/", &loan(&gaps)).await.json();
    assert_eq!(contract["prediction"].to_string(), output(&left_out.json(), "predict")[0]);

    let (status, message) = gateway.post("/v2/models/loan/infer", &given(&full[..4])).await.error();
    assert!(status == 400 && message.contains("`loan_duration_years` is missing"), "{message}");
    let null = ("had_past_default", "INT32", json!([null]));
    let (_, message) = gateway.post("/v2/models/loan/infer", &given(&[full[4].clone(), null])).await.error();
    assert!(message.contains("row 0: field `had_past_default` is missing"), "{message}");
    // A field of the record that the model does not use may come along.
    let with_id = [full[4].clone(), full[6].clone(), ("id", "INT64", json!([9]))];
    assert_eq!(gateway.post("/v2/models/loan/infer", &given(&with_id)).await.status, 200);
}

#[tokio::test]
async fn texts_booleans_and_timestamps_travel_in_the_types_of_the_metadata() {
    let loaded = pipeline(
        "version: 1\nname: mixed\nschema: r.avsc\nfeatures:\n  - { name: length, sql: LENGTH(t) }\n  - { name: b }\n  \
         - { name: hour, sql: 'EXTRACT(HOUR FROM at)' }\n  - { name: i }\nlabel: { field: y, classes: [no, yes] }\n\
         training: { algorithm: constant }\n",
        r#"{"type":"record","name":"r","fields":[
            {"name":"t","type":"string"},{"name":"b","type":["null","boolean"]},
            {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
            {"name":"i","type":"int"},{"name":"y","type":["null","string"]}]}"#,
    );
    let gateway = Gateway::new(vec![loaded.clone()]);
    gateway.serve("mixed", 1, constant(&loaded, 1)).await;
    let metadata = gateway.get("/v2/models/mixed").await.json();
    let inputs: Vec<_> =
        metadata["inputs"].as_array().unwrap().iter().map(|i| i["datatype"].as_str().unwrap()).collect();
    assert_eq!(inputs, ["BYTES", "BOOL", "INT64", "INT32"]);
    let at = |datatype, value| {
        tensors(&[
            ("t", "BYTES", json!(["é!"])),
            ("b", "BOOL", json!([true])),
            ("at", datatype, json!([value])),
            ("i", "INT8", json!([-3])),
        ])
    };
    for request in [at("INT64", json!(3_600_000)), at("BYTES", json!("1970-01-01T01:00:00Z"))] {
        assert_eq!(gateway.post("/v2/models/mixed/infer", &request).await.status, 200);
    }
    gateway.log_is_quiet().await;
    for (_, _, prediction) in gateway.sink.predictions() {
        let features: Vec<_> = ["length", "b", "hour", "i"].map(|name| prediction.features[name].unwrap()).to_vec();
        assert_eq!(features, [2.0, 1.0, 1.0, -3.0]);
    }
    for (request, part) in [
        (
            tensors(&[("t", "FP64", json!([1])), ("at", "INT64", json!([1])), ("i", "INT32", json!([1]))]),
            "datatype FP64",
        ),
        (
            tensors(&[("t", "BYTES", json!(["a"])), ("at", "INT64", json!([1])), ("i", "INT8", json!([300]))]),
            "300 is no INT8",
        ),
        (tensors(&[("t", "BYTES", json!(["a"])), ("at", "INT64", json!([1])), ("i", "FP64", json!([1.5]))]), "no int"),
        (tensors(&[("t", "BYTES", json!([7])), ("at", "INT64", json!([1])), ("i", "INT32", json!([1]))]), "no string"),
    ] {
        let (status, message) = gateway.post("/v2/models/mixed/infer", &request).await.error();
        assert!(status == 400 && message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn tensors_that_contradict_their_shape_or_the_model_are_refused_with_the_reason() {
    let gateway = Gateway::with_models().await;
    let tensor = |name: &str, shape: Value, data: Value| json!({ "name": name, "shape": shape, "datatype": "FP64", "data": data });
    let x = |shape: Value, data: Value| json!({ "inputs": [tensor("input", shape, data)] });
    let mut unknown = flower_tensors(&[SETOSA]);
    unknown["inputs"][2]["name"] = json!("petal_lenght");
    let mut twice = flower_tensors(&[SETOSA]);
    twice["inputs"][1]["name"] = json!("sepal_length");
    let mut uneven = flower_tensors(&[SETOSA]);
    uneven["inputs"][3] = tensor("petal_width", json!([2]), json!([0.2, 0.3]));
    let mut three = flower_tensors(&[SETOSA]);
    three["inputs"].as_array_mut().unwrap().pop();
    for (request, part) in [
        (json!({}), "missing field `inputs`"),
        (json!({ "inputs": [] }), "`inputs` is empty"),
        (unknown, "did you mean `petal_length`"),
        (twice, "two tensors called `sepal_length`"),
        (uneven, "`petal_width` has 2 rows and `sepal_length` has 1"),
        (three, "`petal_width` is missing"),
        (x(json!([1, 3]), json!([1, 2, 3])), "takes [n, 4] with the columns sepal_length"),
        (x(json!([4]), json!([1, 2, 3, 4])), "takes [n, 4]"),
        (x(json!([2, 4]), json!([1, 2, 3, 4])), "are 4 values"),
        (x(json!([0, 4]), json!([])), "no rows"),
        (x(json!([1, 4]), json!([[1, 2], [3, 4]])), "not nested as its shape [1, 4] says"),
        (x(json!([2, 4]), json!([[1, 2, 3], [4, 5, 6, 7, 8]])), "not nested"),
        (x(json!([1, 4]), json!([[[1, 2, 3, 4]]])), "not nested"),
        (x(json!([-1, 4]), json!([1, 2, 3, 4])), "invalid value"),
        (x(json!([1, 4]), json!([1, 2, "3", 4])), "field `petal_length`"),
        (x(json!([1, 4]), json!([1, 2, { "a": 1 }, 4])), "object"),
        (x(json!([1, 4]), json!("1234")), "list"),
        (json!({ "inputs": [{ "name": "input", "shape": [1, 4], "datatype": "FP99", "data": [1, 2, 3, 4] }] }), "FP99"),
        (json!({ "inputs": [{ "name": "input", "shape": [1, 4], "datatype": "FP64" }] }), "missing field `data`"),
        (json!({ "id": 7, "inputs": [] }), "expected a string"),
    ] {
        let (status, message) = gateway.post("/v2/models/iris/infer", &request).await.error();
        assert!(status == 400 && message.contains(part), "{request}: {message}");
    }
    // Products that overflow, and rows beyond the pipeline's limit, before anything is allocated for them.
    for shape in [json!([u64::MAX, 4]), json!([u64::MAX, u64::MAX]), json!([10_001, 4])] {
        assert_eq!(gateway.post("/v2/models/iris/infer", &x(shape, json!([1, 2, 3, 4]))).await.error().0, 400);
    }
}

#[tokio::test]
async fn a_model_goes_on_seeing_what_it_was_fitted_on_when_the_pipeline_file_moves_on() {
    let fitted_on = bundled("iris");
    let mut now = bundled("iris");
    now.pipeline.features.remove(0);
    now.pipeline.features[0].sql = Some("sepal_width * 1000".to_owned());
    let rows = ndarray::Array2::from_shape_fn((20, 4), |(row, _)| row as f64);
    let labels = (0..20).map(|row| usize::from(row >= 10)).collect();
    let artifact = artifact_of(&fitted_on, "random_forest", json!({ "n_estimators": 5 }), rows, labels);
    let gateway = Gateway::new(vec![now]);
    gateway.serve("iris", 1, artifact).await;
    let answer = gateway.post("/v2/models/iris/infer", &flower_tensors(&[[15.0; 4], [2.0; 4]])).await.json();
    assert_eq!(output(&answer, "predict"), &[json!("versicolor"), json!("setosa")]);
}
