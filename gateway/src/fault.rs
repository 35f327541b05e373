//! A request that gets no answer: the status and the sentence, in the shape of its surface.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The shape of an error's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `{"error": "…"}`: the Open Inference Protocol, the iris contract and our own API.
    Error,
    /// `{"detail": "…"}`: the loan contract.
    Detail,
    /// `{"error_code": "…", "message": "…"}`: MLflow's scoring protocol.
    Mlflow,
}

/// What went wrong with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// 400: the request is at fault.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 404: there is no such thing.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 500: we are at fault.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// 503: a service we need is away.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// The response in one of the shapes.
    pub(crate) fn respond(self, shape: Shape) -> Response {
        let body = match shape {
            Shape::Error => json!({ "error": self.message }),
            Shape::Detail => json!({ "detail": self.message }),
            Shape::Mlflow => {
                let code = match self.status {
                    StatusCode::NOT_FOUND => "RESOURCE_DOES_NOT_EXIST",
                    StatusCode::SERVICE_UNAVAILABLE => "TEMPORARILY_UNAVAILABLE",
                    status if status.is_server_error() => "INTERNAL_ERROR",
                    _ => "BAD_REQUEST",
                };
                json!({ "error_code": code, "message": self.message })
            }
        };
        let mut response = (self.status, Json(body)).into_response();
        if matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

impl AsRef<str> for Fault {
    fn as_ref(&self) -> &str {
        &self.message
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        self.respond(Shape::Error)
    }
}
