//! Features × time: how far each was from the reference in the windows before and in this one.

use super::{
    Context, Earlier, EarlierFeature,
    format::{instant, probability, short_instant, shortened, statistic},
    html::Html,
    standing::Ranked,
    verdict_mark, verdict_word,
};
use crate::{policy::Policy, report::DriftReport, verdict::is_moved};
use std::collections::HashMap;

/// Earlier windows and features that are shown; the newest, and those that moved first.
const WINDOWS: usize = 60;
const FEATURES: usize = 60;

/// How far a feature is from the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// There is nothing to compare.
    Unknown,
    /// Below half the threshold of D.
    Near,
    /// Below that threshold.
    Apart,
    /// Above it, which chance may explain.
    Far,
    /// It moved, by D or by PSI.
    Moved,
    /// So many values are missing that the window is quarantined.
    Lost,
}

impl Level {
    pub(super) const ALL: [Self; 6] = [Self::Near, Self::Apart, Self::Far, Self::Moved, Self::Lost, Self::Unknown];

    fn of(feature: Option<&EarlierFeature>, policy: &Policy) -> Self {
        match feature {
            None => Self::Unknown,
            Some(feature) if feature.lost_values => Self::Lost,
            Some(feature) if moved(feature, policy) => Self::Moved,
            Some(feature) if feature.d_low > policy.ks_effect => Self::Far,
            Some(feature) if feature.d_low > policy.ks_effect / 2.0 => Self::Apart,
            Some(_) => Self::Near,
        }
    }

    /// As a mark, for eyes that see no colour and for a terminal.
    pub(super) fn mark(self) -> &'static str {
        match self {
            Self::Unknown => "–",
            Self::Near => "·",
            Self::Apart => "○",
            Self::Far => "◐",
            Self::Moved => "●",
            Self::Lost => "✕",
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Unknown => "no values",
            Self::Near => "D up to half its threshold",
            Self::Apart => "up to the threshold",
            Self::Far => "above it, perhaps by chance",
            Self::Moved => "moved",
            Self::Lost => "lost values",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Unknown => "no",
            Self::Near => "h0",
            Self::Apart => "h1",
            Self::Far => "h2",
            Self::Moved => "h3",
            Self::Lost => "lo",
        }
    }
}

fn moved(feature: &EarlierFeature, policy: &Policy) -> bool {
    is_moved(policy, (feature.q, feature.d_low), (feature.psi, feature.psi_threshold))
}

/// The windows before, oldest first, and this one.
pub(super) struct Timeline<'a> {
    windows: Vec<(&'a Earlier, HashMap<&'a str, &'a EarlierFeature>)>,
}

impl<'a> Timeline<'a> {
    /// Of `now`, which is this window, and the newest `most` before it.
    pub(super) fn of(context: &'a Context, now: &'a Earlier, most: usize) -> Self {
        let mut windows: Vec<&Earlier> =
            context.earlier.iter().filter(|earlier| earlier.window_id != now.window_id).collect();
        windows.sort_by(|a, b| (a.judged_at_ms, &a.window_id).cmp(&(b.judged_at_ms, &b.window_id)));
        let newest = windows.split_off(windows.len().saturating_sub(most));
        let by_name = |window: &'a Earlier| {
            (window, window.features.iter().map(|feature| (feature.name.as_str(), feature)).collect())
        };
        Self { windows: newest.into_iter().chain([now]).map(by_name).collect() }
    }

    /// The levels of a feature over time.
    pub(super) fn levels(&self, name: &str, policy: &Policy) -> Vec<Level> {
        self.windows.iter().map(|(_, features)| Level::of(features.get(name).copied(), policy)).collect()
    }
}

pub(super) fn write(html: &mut Html, report: &DriftReport, context: &Context, ranked: &[Ranked<'_>]) {
    html.raw("<section aria-labelledby=\"time\">\n<h2 id=\"time\">How it came about</h2>\n");
    if context.earlier.is_empty() || ranked.is_empty() {
        html.raw("<p>There is no earlier window of this model version to show.</p>\n</section>\n");
        return;
    }
    let now = Earlier::of(report, context.judged_at_ms);
    let timeline = Timeline::of(context, &now, WINDOWS);
    let rows = rows(&timeline, ranked, &report.policy);
    html.raw("<p>Distance D of each feature over time, the newest window at the right. ");
    let more = context.earlier.len().saturating_sub(timeline.windows.len() - 1);
    if more > 0 {
        html.number(more).raw(" older windows are not shown. ");
    }
    if rows.len() < ranked.len() {
        html.number(ranked.len() - rows.len()).raw(" further features are not shown. ");
    }
    html.raw("</p>\n<ul class=\"legend\">");
    for level in Level::ALL {
        html.raw("<li><span class=\"cell ").raw(level.class()).raw("\" aria-hidden=\"true\">").raw(level.mark());
        html.raw("</span> ").raw(level.word()).raw("</li>");
    }
    // Written from right to left, the box is first seen at its end: the newest window.
    html.raw("</ul>\n<div class=\"scroll heat\" dir=\"rtl\" role=\"region\" aria-label=\"Distance over time\" tabindex=\"0\">");
    html.raw("<table dir=\"ltr\">\n");
    head(html, &timeline);
    html.raw("<tbody>\n");
    for (name, levels) in rows {
        row(html, &timeline, name, &levels);
    }
    html.raw("</tbody>\n</table></div>\n</section>\n");
}

/// The features that are shown: as many as there is room for, those that ever moved first.
fn rows<'a>(timeline: &Timeline<'_>, ranked: &[Ranked<'a>], policy: &Policy) -> Vec<(&'a str, Vec<Level>)> {
    let levels = |ranked: &Ranked<'a>| {
        let name = ranked.feature.name.as_str();
        (name, timeline.levels(name, policy))
    };
    let mut rows: Vec<(&str, Vec<Level>)> = ranked.iter().map(levels).collect();
    if rows.len() > FEATURES {
        let is_quiet = |levels: &[Level]| !levels.iter().any(|level| matches!(level, Level::Moved | Level::Lost));
        rows.sort_by_key(|(_, levels)| is_quiet(levels));
        rows.truncate(FEATURES);
    }
    rows
}

fn head(html: &mut Html, timeline: &Timeline<'_>) {
    let last = timeline.windows.len() - 1;
    html.raw("<thead>\n<tr><th scope=\"col\">Feature</th>");
    for (index, (window, _)) in timeline.windows.iter().enumerate() {
        html.raw("<th scope=\"col\" class=\"when\" title=\"").text(&instant(window.judged_at_ms)).raw(" ");
        html.text(&shortened(&window.window_id, 20)).raw("\">").text(&short_instant(window.judged_at_ms));
        html.raw(if index == last { " <b>this</b>" } else { "" }).raw("</th>");
    }
    html.raw("</tr>\n<tr><th scope=\"row\">Verdict</th>");
    for (window, _) in &timeline.windows {
        html.raw("<td title=\"").text(verdict_word(window.verdict)).raw("\">").text(verdict_mark(window.verdict));
        html.raw("</td>");
    }
    html.raw("</tr>\n</thead>\n");
}

fn row(html: &mut Html, timeline: &Timeline<'_>, name: &str, levels: &[Level]) {
    html.raw("<tr><th scope=\"row\" title=\"").text(&shortened(name, 200)).raw("\">").name(name).raw("</th>");
    for ((window, features), level) in timeline.windows.iter().zip(levels) {
        html.raw("<td class=\"").raw(level.class()).raw("\" title=\"").text(&shortened(name, 40)).raw(", ");
        html.text(&short_instant(window.judged_at_ms)).raw(": ");
        match features.get(name) {
            Some(feature) => {
                let told = matches!(level, Level::Moved | Level::Lost);
                html.raw(if told { level.word() } else { "" }).raw(if told { ", " } else { "" });
                html.raw("D ").text(&statistic(feature.d_low)).raw(", PSI ").text(&statistic(feature.psi)).raw(", q ");
                html.text(&probability(feature.q))
            }
            None => html.raw("no values to compare"),
        };
        html.raw("\">").raw(level.mark()).raw("</td>");
    }
    html.raw("</tr>\n");
}
