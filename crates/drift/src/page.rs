//! The drift report for people: one page of HTML that needs nothing but itself, and the same as text for a terminal.
//!
//! ```text
//! DriftReport + Context ─► standing (what became of each feature) ─► summary   the verdict and why
//!                                                                    cards     what moved, with a histogram
//!                                                                    heat      features × time
//!                                                                    rules     the policy in words, a glossary
//! ```
//! Names of features, categories and pipelines come from strangers: `html` alone writes to the page and escapes all that is
//! not written in this source.

mod cards;
mod cells;
mod format;
mod heat;
mod histogram;
mod html;
mod measures;
mod rules;
mod standing;
mod summary;
mod text;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use cells::moved_cells;
pub use text::text;

use crate::{pane::Stream, report::DriftReport, verdict::Verdict};
use html::Html;
use standing::{Ranked, Standing};

/// What the report itself does not hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Context {
    /// The pipeline's name.
    pub pipeline: String,
    /// When the window was judged, milliseconds since 1970 (UTC).
    pub judged_at_ms: i64,
    /// What the trainer did because of it.
    pub consequence: Option<String>,
    /// Windows before this one, of the same stream and model version, in any order.
    pub earlier: Vec<Earlier>,
}

/// An earlier window.
#[derive(Debug, Clone, PartialEq)]
pub struct Earlier {
    /// Its id.
    pub window_id: String,
    /// When it was judged, milliseconds since 1970 (UTC).
    pub judged_at_ms: i64,
    /// Its verdict.
    pub verdict: Verdict,
    /// Its features, in any order.
    pub features: Vec<EarlierFeature>,
}

/// A feature of an earlier window.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlierFeature {
    /// Its name.
    pub name: String,
    /// The distance from the reference is at least this.
    pub d_low: f64,
    /// The population stability index.
    pub psi: f64,
    /// What it had to exceed.
    pub psi_threshold: f64,
    /// The p-value corrected for the number of features.
    pub q: f64,
    /// Whether its missing values are why the window was quarantined.
    pub lost_values: bool,
}

impl Earlier {
    /// What a page needs of an earlier report. Features without values to compare are left out, but for those that lost them.
    pub fn of(report: &DriftReport, judged_at_ms: i64) -> Self {
        let told = |ranked: &Ranked<'_>| ranked.standing == Standing::LostValues || ranked.feature.is_comparable();
        let of = |Ranked { feature, standing }| EarlierFeature {
            name: feature.name.clone(),
            d_low: feature.d_low,
            psi: feature.psi,
            psi_threshold: feature.psi_threshold,
            q: feature.q,
            lost_values: standing == Standing::LostValues,
        };
        Self {
            window_id: report.window_id.clone(),
            judged_at_ms,
            verdict: report.verdict,
            features: standing::ranked(report).into_iter().filter(told).map(of).collect(),
        }
    }
}

/// The report as a page that is complete in itself: no script, nothing loaded from elsewhere.
pub fn page(report: &DriftReport, context: &Context) -> String {
    let ranked = standing::ranked(report);
    let mut html = Html::default();
    html.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    // Were anything to slip through the escaping, a browser would neither run nor load it.
    html.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; ");
    html.raw("base-uri 'none'; form-action 'none'\">\n<meta name=\"referrer\" content=\"no-referrer\">\n");
    html.raw("<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
    html.text(verdict_word(report.verdict)).raw(": ").text(&format::shortened(&context.pipeline, 60));
    html.raw(" – drift report</title>\n<style>\n")
        .raw(include_str!("page/style.css"))
        .raw("</style>\n</head>\n<body>\n");
    summary::write(&mut html, report, context);
    html.raw("<main>\n");
    cards::write(&mut html, report, &ranked);
    heat::write(&mut html, report, context, &ranked);
    rules::write(&mut html, report, context);
    html.raw("</main>\n</body>\n</html>\n");
    html.finish()
}

/// The verdict as a person says it.
fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::TooFewRows => "Too few rows",
        Verdict::Stable => "Stable",
        Verdict::Warning => "Warning",
        Verdict::Drifted => "Drifted",
        Verdict::Quarantine => "Quarantine",
    }
}

/// A mark that tells the verdict where colour does not.
fn verdict_mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::TooFewRows => "…",
        Verdict::Stable => "✓",
        Verdict::Warning => "!",
        Verdict::Drifted => "▲",
        Verdict::Quarantine => "✕",
    }
}

/// The verdict in one sentence, without the pipeline's name.
fn verdict_sentence(report: &DriftReport) -> String {
    let version = report.model_version;
    let what = match report.stream {
        Stream::Records => "the records",
        Stream::Predictions => "the served predictions",
    };
    match report.verdict {
        Verdict::TooFewRows => format!("there are too few rows to say whether {what} moved"),
        Verdict::Stable => format!("{what} are like those that model version {version} was trained on"),
        Verdict::Warning => format!("something moved in {what}, but that is not drift of model version {version} yet"),
        Verdict::Drifted => format!("{what} are no longer like those that model version {version} was trained on"),
        Verdict::Quarantine => format!("{what} are broken: nothing may be trained on this window"),
    }
}
