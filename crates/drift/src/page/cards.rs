//! A card for each feature, those that moved first and open.

use super::{
    cells::{changes, moved_cells},
    format::{percent, statistic},
    histogram,
    html::Html,
    measures,
    standing::{Ranked, Standing},
};
use crate::report::{Comparison, DriftReport};

pub(super) fn write(html: &mut Html, report: &DriftReport, ranked: &[Ranked<'_>]) {
    let told = ranked.iter().filter(|ranked| ranked.standing.is_told()).count();
    html.raw("<section aria-labelledby=\"moved\">\n<h2 id=\"moved\">What moved</h2>\n<p>");
    match (ranked.len(), told) {
        (0, _) => html.raw("The model has no features to compare."),
        (_, 0) => html
            .raw("No feature moved. The one with the largest importance × distance is open; the others open by name."),
        (all, 1) => html.raw("One of ").number(all).raw(" features is worth a look; the others open by name."),
        (all, _) => html
            .number(told)
            .raw(" of ")
            .number(all)
            .raw(" features are worth a look, the largest importance × distance first; the others open by name."),
    };
    html.raw("</p>\n");
    for (index, ranked) in ranked.iter().enumerate() {
        card(html, report, index, *ranked, ranked.standing.is_told() || (told == 0 && index == 0));
    }
    html.raw("</section>\n");
}

fn card(html: &mut Html, report: &DriftReport, index: usize, Ranked { feature, standing }: Ranked<'_>, open: bool) {
    html.raw("<details class=\"card ").raw(class(standing)).raw("\"").raw(if open { " open" } else { "" });
    html.raw("><summary><span class=\"mark\" aria-hidden=\"true\">").text(standing.mark()).raw("</span> <h3>");
    html.name(&feature.name).raw("</h3> <span class=\"standing\">").text(standing.word()).raw("</span>");
    if feature.is_comparable() {
        html.raw(" <span class=\"brief\">D ")
            .text(&statistic(feature.d_low))
            .raw(" · PSI ")
            .text(&statistic(feature.psi));
        html.raw(" · importance ").text(&percent(feature.importance)).raw("</span>");
    }
    html.raw("</summary>\n");
    if let Some(meaning) = measures::meaning(&feature.name) {
        html.raw("<p class=\"note\">").raw(meaning).raw("</p>\n");
    }
    let why_not = measures::not_compared(feature);
    if let Some(why) = why_not {
        html.raw("<p>").raw(why).raw("</p>\n");
    }
    let sentences = moved_cells(feature);
    if !sentences.is_empty() {
        html.raw("<ul class=\"cells\">\n");
        for sentence in sentences {
            html.raw("<li><bdi>").text(&sentence).raw("</bdi></li>\n");
        }
        html.raw("</ul>\n");
    }
    html.raw("<div class=\"halves\">\n");
    if why_not.is_none() {
        html.raw("<figure>\n<figcaption><span class=\"key ref\" aria-hidden=\"true\"></span>reference ");
        html.raw("<span class=\"key win\" aria-hidden=\"true\"></span>window<br>").raw(caption(feature.comparison));
        html.raw("</figcaption>\n");
        histogram::write(html, index, &feature.name, &changes(feature));
        html.raw("</figure>\n");
    }
    table(html, report, Ranked { feature, standing });
    html.raw("</div>\n</details>\n");
}

fn class(standing: Standing) -> &'static str {
    match standing {
        Standing::LostValues => "lost",
        Standing::Confirmed | Standing::Moved => "moved",
        Standing::NotBack | Standing::MissingChanged => "watch",
        Standing::Unmoved | Standing::NotCompared => "quiet",
    }
}

fn caption(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Numbers => {
            "Shares of the values by range, from above its first number up to its second. Ranges have about equal shares of \
             the reference, so they differ in width."
        }
        Comparison::Seasonal => {
            "Shares of the values by range, from above its first number up to its second. The reference is what is usual at \
             the window's hours of the week."
        }
        Comparison::Categories => "Shares of the values by category.",
    }
}

fn table(html: &mut Html, report: &DriftReport, Ranked { feature, .. }: Ranked<'_>) {
    html.raw("<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">Measure</th><th scope=\"col\">Value</th>");
    html.raw("<th scope=\"col\">Counts when</th></tr></thead>\n<tbody>\n");
    for measure in measures::of(feature, &report.policy) {
        html.raw(if measure.passed { "<tr class=\"passed\">" } else { "<tr>" }).raw("<th scope=\"row\">");
        html.raw(measure.name).raw("</th><td>").text(&measure.value).raw("</td><td>").text(&measure.against);
        html.raw(if measure.passed { " <strong>▲ yes</strong>" } else { "" }).raw("</td></tr>\n");
    }
    html.raw("</tbody>\n</table></div>\n");
}
