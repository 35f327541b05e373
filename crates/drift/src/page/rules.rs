//! The policy in words, how to check a verdict, and what the numbers mean.

use super::{
    Context,
    format::{count, number, percent, shortened, visible},
    html::Html,
};
use crate::{policy::Policy, report::DriftReport};

/// The names of the numbers, each in a sentence.
pub(super) const GLOSSARY: [(&str, &str); 4] = [
    (
        "D",
        "The largest difference between the shares of values up to any one number, in the reference and in the window \
         (Kolmogorov–Smirnov), or of categories the share of rows that would have to change theirs; values are counted in \
         bins, so of numbers two bounds are known.",
    ),
    (
        "q",
        "The probability of so large a difference by chance alone, corrected for the number of features looked at \
         (Benjamini–Hochberg).",
    ),
    (
        "PSI",
        "The population stability index: how much the shares of a few cells changed, each weighed by the logarithm of its \
         ratio; 0 when nothing did.",
    ),
    (
        "JS",
        "The Jensen–Shannon distance of the same shares: 0 when they are equal, 1 when reference and window have no cell in \
         common.",
    ),
];

/// What a replay is.
pub(super) const REPLAY: &str = "The event holds every number that was judged, the policy and the windows before. The \
    command prints them and replays the verdict: it judges the stored facts again, and the same facts, policy and history \
    always give the same verdict. The window is named by the hash of its offsets, model version, reference and policy, so \
    offsets that are read again give the same window, and what they hold replaces what was counted before instead of adding \
    to it.";

/// The thresholds, a sentence each.
pub(super) fn sentences(policy: &Policy) -> Vec<String> {
    let (k, n) = (policy.confirm_windows, policy.of_windows);
    let points = |share: f64| format!("{} percentage points", number(share * 100.0));
    let windows = if n == 1 { "the window".to_owned() } else { format!("{k} of the last {n} windows") };
    let mut sentences = vec![
        format!("A window of fewer than {} rows is not judged.", count(policy.min_rows)),
        format!(
            "A window is quarantined when the share of rejected records rises by {} or more, or the share of missing values of \
             a feature by {} or more, and chance does not explain it (α {}, shared by all features).",
            points(policy.rejects_surge),
            points(policy.missing_surge),
            number(policy.alpha)
        ),
        match policy.units {
            true => "So is one whose values out of range look like the reference's in another unit.".to_owned(),
            false => "Nobody looks for values in another unit.".to_owned(),
        },
        format!(
            "A feature moved when q is below {} and D is above {} or PSI above {} (of {} cells); where small samples bring PSI \
             higher by chance alone, it must exceed that instead.",
            number(policy.q_level()),
            number(policy.ks_effect),
            number(policy.psi_threshold),
            policy.psi_cells
        ),
        format!(
            "Its drift is confirmed when it moved in {windows}, and over when D is {} or less and PSI {} or less, or what \
             chance alone brings them to.",
            number(policy.ks_effect / 2.0),
            number(policy.psi_threshold / 2.0)
        ),
        match policy.min_importance > 0.0 {
            true => format!(
                "The input drifted when the features whose drift is confirmed have {} of the importance or more.",
                percent(policy.min_importance)
            ),
            false => "The input drifted when a feature of any importance has confirmed drift.".to_owned(),
        },
    ];
    if let Some(level) = policy.level {
        sentences.push(format!(
            "That q must be below {} instead of {} was found on the model's own rows: they resemble their neighbours, and windows \
             of them differ by chance more often than windows of independent rows would.",
            number(level),
            number(policy.alpha)
        ));
    }
    sentences.push(match &policy.importance {
        None => "All features are equally important.".to_owned(),
        Some(weights) => {
            let weight =
                |(name, weight): (&String, &f64)| format!("{} {}", shortened(&visible(name), 40), number(*weight));
            let listed: Vec<String> = weights.iter().take(MOST_WEIGHTS).map(weight).collect();
            let more = weights.len().saturating_sub(MOST_WEIGHTS);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("Weights of the features: {}{more}; others weigh nothing.", listed.join(", "))
        }
    });
    sentences
}

/// Weights that are listed; those of the features are on their cards anyway.
const MOST_WEIGHTS: usize = 30;

/// The command that prints and checks the event.
pub(super) fn command(report: &DriftReport, context: &Context) -> String {
    format!("driftmill drift explain {} {}", argument(&context.pipeline), argument(&report.window_id))
}

/// An argument that a shell takes as it is.
fn argument(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let text = visible(text);
    match !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// The policy, the check and the glossary.
pub(super) fn write(html: &mut Html, report: &DriftReport, context: &Context) {
    html.raw("<section aria-labelledby=\"policy\">\n<h2 id=\"policy\">What it was judged by</h2>\n<ul>\n");
    for sentence in sentences(&report.policy) {
        html.raw("<li>").text(&sentence).raw("</li>\n");
    }
    html.raw("</ul>\n<p class=\"ids\">Policy hash <code>").text(&report.policy_hash).raw("</code></p>\n</section>\n");
    html.raw("<section aria-labelledby=\"check\">\n<h2 id=\"check\">How to check it</h2>\n<pre tabindex=\"0\"><code>");
    html.text(&command(report, context)).raw("</code></pre>\n<p>").text(REPLAY).raw("</p>\n</section>\n");
    html.raw(
        "<section aria-labelledby=\"words\">\n<h2 id=\"words\">What the numbers mean</h2>\n<dl class=\"words\">\n",
    );
    for (term, meaning) in GLOSSARY {
        html.raw("<dt>").text(term).raw("</dt><dd>").text(meaning).raw("</dd>\n");
    }
    html.raw("</dl>\n</section>\n");
}

#[cfg(test)]
mod tests {
    use super::{super::testing, *};

    #[test]
    fn every_threshold_is_told() {
        let policy = Policy {
            alpha: 0.011,
            level: Some(0.0031),
            ks_effect: 0.12,
            psi_threshold: 0.23,
            psi_cells: 13,
            min_rows: 1_414,
            missing_surge: 0.15,
            rejects_surge: 0.16,
            units: true,
            confirm_windows: 17,
            of_windows: 18,
            overlap: 1,
            importance: Some([("a".to_owned(), 19.0)].into()),
            min_importance: 0.2,
        };
        let told = sentences(&policy).join("\n");
        for number in [
            "0.011",
            "0.0031",
            "0.12",
            "0.23",
            "13 cells",
            "1,414",
            "15 perc",
            "16 perc",
            "17 of the last 18",
            "a 19",
            "20 %",
        ] {
            assert!(told.contains(number), "{number}: {told}");
        }
    }

    #[test]
    fn a_command_is_safe_to_paste() {
        let report = testing::stable();
        let context = |pipeline: &str| Context { pipeline: pipeline.to_owned(), ..Context::default() };
        let id = &report.window_id;
        assert_eq!(command(&report, &context("loan")), format!("driftmill drift explain loan {id}"));
        assert_eq!(command(&report, &context("a'; rm b")), format!(r"driftmill drift explain 'a'\''; rm b' {id}"));
        assert!(!command(&report, &context("a\nrm b")).contains('\n'));
    }
}
