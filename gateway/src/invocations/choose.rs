//! Which model a request is for.

use std::sync::Arc;

use driftmill_schemas::record::FieldKind;

use super::read::Input;
use crate::api;
use crate::app::{App, Served};
use crate::fault::Fault;
use crate::model::LoadedModel;
use crate::request_id::RequestId;
use crate::slot::Chosen;

/// The model called `wanted`; without a name the only pipeline's, or the one whose inputs the request fits best.
pub(super) fn choose(
    app: &App,
    wanted: Option<&str>,
    input: &Input,
    id: &RequestId,
) -> Result<(Arc<Served>, Chosen), Fault> {
    let only = match (app.pipelines.len(), app.pipelines.values().next()) {
        (1, only) => only,
        _ => None,
    };
    let named = wanted.map(|name| api::served(app, name)).transpose()?;
    if let Some(served) = named.or(only) {
        let chosen = served.slot.choose(id).ok_or_else(|| {
            Fault::unavailable(format!("`{}` has no model that serves yet: train one, or promote one", served.name))
        })?;
        return Ok((Arc::clone(served), chosen));
    }
    let serving = app.pipelines.values().filter_map(|served| Some((Arc::clone(served), served.slot.choose(id)?)));
    let mut fitting: Vec<(usize, (Arc<Served>, Chosen))> =
        serving.filter_map(|chosen| Some((fits(&chosen.1, input)?, chosen))).collect();
    fitting.sort_by_key(|(fit, _)| std::cmp::Reverse(*fit));
    let best = fitting.first().map(|(fit, _)| *fit);
    let mut candidates = fitting.into_iter().take_while(|(fit, _)| Some(*fit) == best).map(|(_, chosen)| chosen);
    match (candidates.next(), candidates.next()) {
        (Some(chosen), None) => Ok(chosen),
        (first, _) => {
            let names: Vec<&str> = app.pipelines.keys().map(|name| &**name).collect();
            let fits = if first.is_some() { "fits several models" } else { "fits the inputs of no model that serves" };
            Err(Fault::bad_request(format!(
                "the request {fits}: say which by /invocations?model=NAME, one of {}",
                names.join(", ")
            )))
        }
    }
}

/// How well a request fits the versions that may answer it: one that is tried out is no reason to refuse it.
fn fits(chosen: &Chosen, input: &Input) -> Option<usize> {
    let other = chosen.other.as_ref().and_then(|other| fit(other, input));
    fit(&chosen.model, input).max(other)
}

/// How many of a model's inputs the request has; `None` when it lacks one that is needed.
fn fit(model: &LoadedModel, input: &Input) -> Option<usize> {
    let inputs: Vec<_> = model.input_fields().collect();
    match input.columns() {
        Some(columns) => {
            let has = |name: &str| columns.iter().any(|column| column == name);
            let needed = inputs.iter().all(|field| field.nullable || has(&field.name));
            let count = inputs.iter().filter(|field| has(&field.name)).count();
            (needed && count > 0).then_some(count)
        }
        None => {
            let (depth, width) = input.shape();
            let is_image = inputs.len() == 1 && inputs[0].kind == FieldKind::Bytes;
            match depth {
                3 => is_image.then_some(1),
                0 | 1 => (!is_image && width == inputs.len()).then_some(width),
                _ => None,
            }
        }
    }
}
