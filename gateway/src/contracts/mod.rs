//! Contracts of earlier stacks, kept to the letter at their own paths, for the pipelines that declare them.

pub(crate) mod iris;
pub(crate) mod loan;

use std::sync::Arc;

use axum::Router;
use axum::routing::post;

use crate::app::App;

pub(crate) fn routes(app: &App) -> Router<Arc<App>> {
    let mut router = Router::new();
    if app.iris.is_some() {
        router = router.route("/predict", post(iris::predict)).route("/train", post(iris::train));
    }
    if app.loan.is_some() {
        router = router.route("/predict/", post(loan::predict));
    }
    router
}
