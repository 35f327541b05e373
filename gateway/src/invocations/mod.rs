//! MLflow's scoring protocol: `POST /invocations`, `GET /ping` and `GET /version`.
//!
//! An MLflow server has one model; a gateway may serve several. `/invocations?model=NAME` says which. Without it, it is the
//! only one, or the one whose inputs the request fits.

mod choose;
mod read;

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer::{self, Answer};
use crate::app::{App, Served};
use crate::asked::Asked;
use crate::body::{self, Body};
use crate::fault::{Fault, Shape};
use crate::request_id::RequestId;
use read::Input;

/// The dialect's name in logs and metrics.
pub(crate) const NAME: &str = "invocations";

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/invocations", post(score))
        .route("/ping", get(|| async { "\n" }))
        .route("/version", get(|| async { env!("CARGO_PKG_VERSION") }))
}

/// Which model is asked.
#[derive(Debug, Deserialize)]
struct Which {
    model: Option<String>,
}

/// A fault in MLflow's shape.
struct ScoringFault(Fault);

impl From<Fault> for ScoringFault {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl AsRef<str> for ScoringFault {
    fn as_ref(&self) -> &str {
        self.0.as_ref()
    }
}

impl IntoResponse for ScoringFault {
    fn into_response(self) -> Response {
        self.0.respond(Shape::Mlflow)
    }
}

#[derive(Serialize)]
struct Predictions {
    predictions: Vec<Value>,
    /// The class that each probability is of, where an answer is one probability.
    #[serde(skip_serializing_if = "Option::is_none")]
    positive_class: Option<String>,
}

async fn score(
    State(app): State<Arc<App>>,
    Extension(id): Extension<RequestId>,
    Query(which): Query<Which>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ScoringFault> {
    let bytes = body::bytes(body)?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (heavy, for_choice, of, whole) = (body::is_heavy(&bytes), Arc::clone(&app), id.clone(), bytes.clone());
    let (served, chosen, input) = body::off_loop(heavy, move || {
        let input = Input::read(&bytes, &kind)?;
        let (served, chosen) = choose::choose(&for_choice, which.model.as_deref(), &input, &of)?;
        Ok::<_, Fault>((served, chosen, input))
    })
    .await?;
    let one_probability = answers_one_probability(&served);
    let asked = Asked { app, served, dialect: NAME, id };
    let input = Arc::new(input);
    let read = move |_: &[u8], rows| {
        // Copied only where another version reads it, too.
        let rows = Arc::unwrap_or_clone(input).rows(rows, one_probability)?;
        Ok::<_, ScoringFault>((one_probability, rows))
    };
    asked.answer(whole, chosen, read, render).await
}

/// Whether the pipeline keeps the contract of a network with one output: `[[p]]`.
fn answers_one_probability(served: &Served) -> bool {
    served.loaded.pipeline.serving.dialects.contains(&driftmill_schemas::pipeline::Dialect::Dandelion)
}

fn render(one_probability: bool, answer: &Answer, _: &RequestId) -> Result<Vec<u8>, ScoringFault> {
    let classes = &answer.model().card.classes;
    let positive = answer.model().positive();
    let predictions = if one_probability {
        (0..answer.rows()).map(|row| json!([answer.probabilities(row).get(positive)])).collect()
    } else if classes.is_empty() {
        answer.values().iter().map(|value| json!(value)).collect()
    } else {
        // Classes that are numbers are answered as numbers, as the library answers that MLflow wraps.
        // Only if nothing is lost: `007` is no number.
        let number = |class: &String| class.parse::<i64>().ok().filter(|number| number.to_string() == *class);
        let numbers: Option<Vec<i64>> = classes.iter().map(number).collect();
        let class = |&index: &usize| match &numbers {
            Some(numbers) => json!(numbers[index]),
            None => json!(classes[index]),
        };
        answer.class_indices().iter().map(class).collect()
    };
    let positive_class = one_probability.then(|| classes.get(positive).cloned()).flatten();
    Ok(answer::json(&Predictions { predictions, positive_class })?)
}
