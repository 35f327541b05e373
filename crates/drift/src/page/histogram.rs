//! The histogram of a feature: a row a cell, the window's share as a bar on the reference's.
//!
//! Cells of numbers have about the same share of the reference, so their widths differ and the two at the ends have none: a
//! density cannot be drawn. Shares can, beside the range that each stands for.

use super::{cells::Change, format::shortened, html::Html};

/// Pixels of a row, of the line of text in it, and of the bars.
const ROW: usize = 36;
const TEXT: usize = 13;
const REFERENCE: usize = 12;
const WINDOW: usize = 6;
/// Columns of the name of a cell, so that its shares have room beside it on a narrow screen.
const LABEL: usize = 28;

/// Writes the picture with its description; `id` is the feature's place on the page.
pub(super) fn write(html: &mut Html, id: usize, name: &str, changes: &[Change]) {
    let longest = changes.iter().flat_map(|change| [change.before, change.now]).fold(f64::MIN_POSITIVE, f64::max);
    html.raw("<svg class=\"chart\" role=\"img\" width=\"100%\" height=\"").number(changes.len() * ROW);
    html.raw("\" aria-labelledby=\"t").number(id).raw("\" aria-describedby=\"d").number(id).raw("\"><title id=\"t");
    html.number(id).raw("\">Shares of the values of ").text(&shortened(name, 100));
    html.raw(", reference and window</title><desc id=\"d").number(id).raw("\">");
    for change in changes {
        html.text(&change.label).raw(": ").text(&change.shares()).raw("; ");
    }
    html.raw("</desc>");
    for (index, change) in changes.iter().enumerate() {
        row(html, index * ROW, longest, change);
    }
    html.raw("</svg>\n");
}

fn row(html: &mut Html, top: usize, longest: f64, change: &Change) {
    let bar = |html: &mut Html, class: &'static str, y: usize, height: usize, share: f64| {
        html.raw("<rect class=\"").raw(class).raw("\" x=\"1\" y=\"").number(y).raw("\" height=\"").number(height);
        // Room for the outline of the longest.
        html.raw("\" width=\"").text(&format!("{:.2}", 99.4 * share / longest)).raw("%\"/>");
    };
    html.raw("<g").raw(if change.stands_out { " class=\"out\"" } else { "" }).raw("><title>").text(&change.label);
    html.raw(": ").text(&change.shares()).raw("</title><text x=\"0\" y=\"");
    html.number(top + TEXT - 2)
        .raw("\">")
        .text(&shortened(&change.label, LABEL))
        .raw("</text><text class=\"share\" x=\"100%\" y=\"");
    html.number(top + TEXT - 2).raw("\" text-anchor=\"end\">").raw(change.mark()).text(&change.shares());
    html.raw("</text>");
    bar(html, "ref", top + TEXT + 2, REFERENCE, change.before);
    bar(html, "win", top + TEXT + 2 + (REFERENCE - WINDOW) / 2, WINDOW, change.now);
    html.raw("</g>");
}
