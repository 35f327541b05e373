//! The head of the page: the verdict, why, what followed, and which data it is about.

use super::{
    Context,
    format::{count, instant, offset, share, shortened},
    html::Html,
    verdict_mark, verdict_sentence, verdict_word,
};
use crate::{
    pane::{PaneId, Stream},
    report::DriftReport,
    verdict::Verdict,
};
use std::collections::BTreeMap;

/// Columns of a reason; names of features can be of any length.
pub(super) const REASON: usize = 600;
/// Partitions that are listed without being asked for.
const SHOWN: usize = 4;

pub(super) fn write(html: &mut Html, report: &DriftReport, context: &Context) {
    html.raw("<header class=\"").raw(class(report.verdict)).raw("\">\n<p class=\"over\">Drift report · ");
    html.name(&context.pipeline).raw("</p>\n<h1><span class=\"badge\"><span aria-hidden=\"true\">");
    html.text(verdict_mark(report.verdict)).raw("</span> ").text(verdict_word(report.verdict)).raw("</span> ");
    html.name(&context.pipeline).raw(": ").text(&verdict_sentence(report)).raw("</h1>\n<h2>Why</h2>\n<ul>\n");
    for reason in &report.reasons {
        html.raw("<li><bdi>").text(&shortened(reason, REASON)).raw("</bdi></li>\n");
    }
    if report.reasons.is_empty() {
        html.raw("<li>The event holds no reason.</li>\n");
    }
    html.raw("</ul>\n");
    if let Some(consequence) = &context.consequence {
        html.raw("<h2>What followed</h2>\n<p><bdi>").text(&shortened(consequence, REASON)).raw("</bdi></p>\n");
    }
    html.raw("<dl class=\"facts\">\n");
    for (term, value) in facts(report, context) {
        html.raw("<div><dt>").text(term).raw("</dt><dd>").text(&value).raw("</dd></div>\n");
    }
    html.raw("</dl>\n");
    offsets(html, report);
    html.raw("<p class=\"ids\">Window <code>").text(&report.window_id).raw("</code><br>Reference <code>");
    html.text(&report.reference_hash).raw("</code></p>\n</header>\n");
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::TooFewRows => "few",
        Verdict::Stable => "stable",
        Verdict::Warning => "warning",
        Verdict::Drifted => "drifted",
        Verdict::Quarantine => "quarantine",
    }
}

/// What the window is, in names and values.
pub(super) fn facts(report: &DriftReport, context: &Context) -> Vec<(&'static str, String)> {
    let usual = report.usual_rejects;
    let stream = match report.stream {
        Stream::Records => "records, as they are ingested",
        Stream::Predictions => "predictions, as they are served",
    };
    let rejected = format!(
        "{} ({}; usually {})",
        count(report.rejected),
        share(report.rejected, report.rows.saturating_add(report.rejected)),
        share(usual.rejected, usual.records)
    );
    vec![
        ("Model version", report.model_version.to_string()),
        ("Stream", stream.to_owned()),
        ("Rows", count(report.rows)),
        ("Rejected", rejected),
        ("Events until", report.max_event_time.map_or_else(|| "there are none".to_owned(), instant)),
        ("Judged", instant(context.judged_at_ms)),
    ]
}

/// The offsets of each partition, first and last: "0 – 399".
pub(super) fn partitions(ranges: &[PaneId]) -> Vec<(i32, String)> {
    let mut partitions: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for range in ranges {
        let text = format!("{} – {}", offset(range.from_offset), offset(range.to_offset.saturating_sub(1)));
        partitions.entry(range.partition).or_default().push(text);
    }
    partitions.into_iter().map(|(partition, ranges)| (partition, ranges.join(", "))).collect()
}

fn offsets(html: &mut Html, report: &DriftReport) {
    let partitions = partitions(&report.ranges);
    html.raw("<details").raw(if partitions.len() <= SHOWN { " open" } else { "" });
    html.raw("><summary>Offsets of ").number(partitions.len());
    html.raw(if partitions.len() == 1 { " partition" } else { " partitions" }).raw("</summary>\n");
    html.raw("<div class=\"scroll\" role=\"region\" aria-label=\"Offsets\" tabindex=\"0\"><table>\n<thead><tr>");
    html.raw("<th scope=\"col\">Partition</th><th scope=\"col\">Offsets, first – last</th></tr></thead>\n<tbody>\n");
    for (partition, ranges) in partitions {
        html.raw("<tr><th scope=\"row\">").text(&partition.to_string()).raw("</th><td>").text(&ranges);
        html.raw("</td></tr>\n");
    }
    html.raw("</tbody>\n</table></div></details>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_told_by_partition_first_and_last_with_their_holes() {
        let range = |partition, from_offset, to_offset| PaneId { partition, from_offset, to_offset };
        let told = partitions(&[range(1, 0, 1_000), range(0, 5, 6), range(1, 2_000, 3_000)]);
        assert_eq!(told, [(0, "5 – 5".to_owned()), (1, "0 – 999, 2,000 – 2,999".to_owned())]);
        assert_eq!(partitions(&[range(0, i64::MIN, i64::MIN)]).len(), 1);
    }
}
