//! What a route means for metrics, limits and the shape of errors. Everything comes from the route's template and from
//! names of ours: a client cannot make new labels.

use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::fault::Shape;

/// How long a request may take from its head to its response's, its body included.
const LIMIT: Duration = Duration::from_secs(30);

/// One route.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// The API surface.
    pub(crate) dialect: &'static str,
    /// The pipeline, or empty.
    pub(crate) model: Arc<str>,
    /// How errors look.
    pub(crate) shape: Shape,
    /// How long it may take; absent: it has a limit of its own.
    pub(crate) limit: Option<Duration>,
}

impl Route {
    /// The route whose template is `matched`, for a request of `path`.
    pub(crate) fn of(app: &App, matched: Option<&str>, path: &str) -> Self {
        let segment = |index: usize| path.split('/').nth(index).unwrap_or_default();
        let pipeline = |name: &str| app.pipelines.get_key_value(name).map(|(name, _)| Arc::clone(name));
        let (dialect, model) = match matched {
            None => ("unmatched", None),
            Some("/predict" | "/train") => ("iris", app.iris.as_ref().map(|served| Arc::clone(&served.name))),
            Some("/predict/") => ("loan", app.loan.as_ref().map(|served| Arc::clone(&served.name))),
            Some("/invocations") => ("invocations", None),
            Some(template) if template.starts_with("/v2/models/") => ("v2", pipeline(segment(3))),
            Some(template) if template.starts_with("/v2") => ("v2", None),
            Some(template) if template.starts_with("/api/v1/pipelines/") => ("api", pipeline(segment(4))),
            Some(template) if template.starts_with("/api/") => ("api", None),
            Some(_) => ("system", None),
        };
        Self {
            dialect,
            model: model.unwrap_or_default(),
            shape: match dialect {
                "loan" => Shape::Detail,
                "invocations" => Shape::Mlflow,
                _ => Shape::Error,
            },
            limit: (!matched.is_some_and(|template| template == "/train" || template.ends_with("/records")))
                .then_some(LIMIT),
        }
    }
}
