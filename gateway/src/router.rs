//! All routes.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use axum::{Extension, Router, middleware};

use crate::app::App;
use crate::fault::Fault;
use crate::front::front;
use crate::route::Route;
use crate::{api, body, contracts, invocations, push, runs, system, v2};

/// The router over `app`.
pub(crate) fn router(app: &Arc<App>) -> Router {
    Router::new()
        .merge(system::routes())
        .merge(v2::routes().layer(DefaultBodyLimit::max(body::limit(app))))
        .merge(api::routes())
        .merge(runs::routes())
        .merge(push::routes())
        .merge(invocations::routes().layer(DefaultBodyLimit::max(body::limit(app))))
        .merge(contracts::routes(app))
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_this_method)
        .layer(DefaultBodyLimit::max(body::LIMIT))
        .layer(middleware::from_fn_with_state(Arc::clone(app), front))
        .with_state(Arc::clone(app))
}

async fn nothing_here(method: Method, uri: Uri) -> Fault {
    let shown: String = uri.path().chars().take(100).collect();
    Fault::not_found(format!("there is nothing at {method} {shown}; /docs lists what there is"))
}

async fn not_this_method(Extension(route): Extension<Route>, method: Method, uri: Uri) -> Response {
    let shown: String = uri.path().chars().take(100).collect();
    let fault = Fault::new(StatusCode::METHOD_NOT_ALLOWED, format!("{method} is not possible on {shown}"));
    fault.respond(route.shape)
}
