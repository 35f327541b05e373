//! What a page promises, whatever the report.

use super::*;
use crate::DriftReport;

fn page_of(report: &DriftReport) -> String {
    page(report, &testing::context(report, 5)).replace('\u{a0}', " ")
}

/// Fails on elements that are not closed, closed out of order, or attributes without quotes.
fn check_markup(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let (_, body) = page.split_once("</style>").unwrap();
    open.extend(["html", "head"]);
    let mut rest = body;
    while let Some((text, tag)) = rest.split_once('<') {
        assert!(!text.contains('>'), "a bare > in {text:?}");
        let (tag, after) = tag.split_once('>').expect("a tag ends");
        rest = after;
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "</{name}> closes another element");
        } else if !tag.ends_with('/') && !["meta", "br"].contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn every_page_is_whole_and_asks_for_nothing_from_elsewhere() {
    for report in testing::all() {
        let page = page_of(&report);
        check_markup(&page);
        for forbidden in ["<script", "http:", "https:", "url(", "@import", "src=", "<link", "javascript:", " on", "NaN"]
        {
            let inside = match forbidden {
                " on" => page.contains(" onclick") || page.contains(" onload") || page.contains(" onerror"),
                other => page.contains(other),
            };
            assert!(!inside, "{forbidden}");
        }
        assert!(page.contains("default-src 'none'; style-src 'unsafe-inline'"));
        assert_eq!((page.matches("<h1>").count(), page.matches("<html lang=\"en\">").count()), (1, 1));
        assert_eq!(page.matches("<th").count() - page.matches("<thead").count(), page.matches("<th scope=").count());
        assert_eq!(page.matches("<svg").count(), page.matches("role=\"img\"").count());
        assert_eq!(page.matches("<svg").count(), page.matches("<desc id=").count());
    }
}

#[test]
fn equal_reports_give_equal_pages() {
    assert_eq!(page_of(&testing::drifted()), page_of(&testing::drifted()));
}

#[test]
fn nothing_that_a_stranger_named_is_markup() {
    let evil = "</title></style><script>alert(1)</script>\" onload='x'\u{202e}\0\u{1b}[31m&lt;";
    let mut report = testing::categories();
    for feature in &mut report.features {
        feature.name.push_str(evil);
        feature.cells.iter_mut().flat_map(|cell| &mut cell.category).for_each(|category| category.push_str(evil));
    }
    report.reasons = vec![evil.to_owned(), "x".repeat(50_000)];
    report.policy.importance = Some([(evil.to_owned(), 1.0)].into());
    (report.window_id, report.reference_hash, report.policy_hash) = (evil.into(), evil.into(), evil.into());
    let mut context = testing::context(&report, 3);
    (context.pipeline, context.consequence) = (evil.to_owned(), Some(evil.to_owned()));
    let page = page(&report, &context);
    check_markup(&page);
    assert!(!page.contains("<script") && !page.contains("</style><"), "{page}");
    assert!(page.contains("&lt;script&gt;") && page.contains("\\u{202e}"));
    assert!(page.chars().all(|c| c == '\n' || !format::is_unsafe(c)));
    assert_eq!(page.matches("</style>").count(), 1);
}

#[test]
fn names_of_any_length_fit() {
    let mut report = testing::drifted();
    report.features[0].name = "n".repeat(1_000_000);
    let page = page_of(&report);
    check_markup(&page);
    assert!(page.len() < 200_000, "{}", page.len());
}

#[test]
fn every_feature_is_there_and_the_moved_come_first() {
    let report = testing::drifted();
    let page = page_of(&report);
    let place = |name: &str| page.find(&format!("<h3><bdi>{name}</bdi></h3>")).unwrap();
    assert!(place("income") < place("age") && place("debt") < place("age"));
    assert_eq!(page.matches("<details class=\"card moved\" open>").count(), 2);
    assert_eq!(page.matches("<details class=\"card quiet\">").count(), 1);
}

#[test]
fn the_head_tells_verdict_window_and_consequence() {
    let page = page_of(&testing::drifted());
    let told = [
        "▲</span> Drifted",
        "<bdi>loan</bdi>",
        "the records are no longer like those that model version 3 was trained on",
        "records, as they are ingested",
        "<dd>1,000</dd>",
        "4 (0.4 %; usually 0.4 %)",
        "2026-11-27T14:05:00Z",
        "2026-11-27T14:05:09Z",
        "1,000 – 2,000",
        "a training was started",
        "income moved in 1 of the last 1 windows: D between",
    ];
    for text in told {
        assert!(page.contains(text), "{text}: {page}");
    }
}

#[test]
fn a_quarantined_window_shows_where_values_are_missing() {
    let page = page_of(&testing::quarantine());
    assert!(page.contains("nothing may be trained on this window") && page.contains("no value: 0 % → 50 %"), "{page}");
    assert!(page.contains("neither the reference nor the window has values"));
    assert!(page.contains("<details class=\"card lost\" open>") && page.contains("lost values, D "));
    assert_eq!(page.matches("<td class=\"lo\"").count(), 6, "one for each window in the heat map");
}

#[test]
fn categories_show_chi_squared_and_what_was_never_seen() {
    let page = page_of(&testing::categories());
    for text in ["χ² / df", "200 (20 %)", "“north”", "all others", "of the rows"] {
        assert!(page.contains(text), "{text}: {page}");
    }
}

#[test]
fn a_seasonal_feature_is_told_by_its_hours() {
    let page = page_of(&testing::seasonal());
    assert!(page.contains("hours of the week") && page.contains("the served predictions"), "{page}");
}

#[test]
fn without_features_or_rows_the_page_says_so() {
    let page = page_of(&testing::nothing());
    assert!(page.contains("no features to compare") && page.contains("Too few rows"));
    let page = page_of(&testing::empty());
    assert!(page.contains("the window has no rows") && !page.contains("e308"), "{page}");
}

#[test]
fn odd_numbers_are_told_without_fault() {
    let mut report = testing::drifted();
    let feature = &mut report.features[0];
    (feature.psi, feature.psi_threshold, feature.psi_noise) = (f64::MAX, f64::MAX, f64::MAX);
    (feature.d_low, feature.d_high, feature.q, feature.js) = (f64::MIN_POSITIVE, f64::MAX, -0.0, f64::MAX);
    (feature.importance, feature.unseen, feature.below, feature.above) = (f64::MAX, u64::MAX, u64::MAX, u64::MAX);
    (feature.live_missing, feature.live_rows) = (u64::MAX - 1, u64::MAX);
    for cell in &mut feature.cells {
        (cell.live, cell.reference) = (u64::MAX, u64::MAX);
        cell.up_to = cell.up_to.map(|edge| if edge < 40.0 { f64::MIN } else { f64::MAX });
    }
    (report.rows, report.rejected, report.max_event_time) = (u64::MAX, u64::MAX, Some(i64::MIN));
    report.ranges[0].from_offset = i64::MIN;
    report.ranges[0].to_offset = i64::MIN;
    let mut context = testing::context(&report, 2);
    context.judged_at_ms = i64::MAX;
    check_markup(&page(&report, &context));
    assert!(!text(&report, &context).is_empty());
}

#[test]
fn the_heat_map_has_the_sixty_windows_before_and_this_one() {
    let report = testing::drifted();
    let columns = |earlier: usize| {
        let mut context = testing::context(&report, earlier);
        context.earlier.reverse();
        let page = page(&report, &context);
        check_markup(&page);
        let row = page.split("<bdi>income</bdi></th>").nth(1).unwrap().split("</tr>").next().unwrap();
        let marks: Vec<String> = row.matches(['·', '○', '◐', '●']).map(str::to_owned).collect();
        (marks, page)
    };
    let (marks, page) = columns(60);
    assert_eq!((marks.len(), marks[0].as_str(), marks[60].as_str()), (61, "·", "●"), "oldest first: {marks:?}");
    assert!(page.contains("income, 11-27 14:05: moved, D ") && !page.contains("older windows"));
    let (marks, page) = columns(75);
    assert!(marks.len() == 61 && page.contains("15 older windows are not shown"));
    assert!(super::page(&report, &testing::context(&report, 0)).contains("no earlier window"));
}

#[test]
fn a_window_judged_again_is_not_shown_twice() {
    let report = testing::drifted();
    let mut context = testing::context(&report, 1);
    context.earlier.push(Earlier::of(&report, 0));
    assert_eq!(page(&report, &context).matches("class=\"when\"").count(), 2);
}

#[test]
fn hundreds_of_features_make_a_page_that_still_opens() {
    let mut report = testing::drifted();
    let feature = report.features[0].clone();
    report.features =
        (0..800).map(|index| crate::FeatureReport { name: format!("p{index}"), ..feature.clone() }).collect();
    let page = page(&report, &testing::context(&report, 60));
    assert!(page.len() < 6_000_000, "{}", page.len());
    assert!(page.contains("740 further features are not shown"));
    assert_eq!(page.matches("<details class=\"card").count(), 800);
}

#[test]
fn the_policy_is_told_with_its_hash_and_how_to_check() {
    let report = testing::stable();
    let page = page_of(&report);
    assert!(page.contains(&report.policy_hash) && page.contains("D is above 0.1 or PSI above 0.2 (of 10 cells)"));
    assert!(page.contains(&format!("driftmill drift explain loan {}", report.window_id)));
}

/// The colours of a theme by name.
fn colours(block: &str) -> std::collections::HashMap<String, [f64; 3]> {
    let declarations = block.split(';').filter_map(|line| line.trim().strip_prefix("--")?.split_once(": #"));
    let channel = |hex: &str, at: usize| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
    declarations.map(|(name, hex)| (name.to_owned(), [channel(hex, 0), channel(hex, 2), channel(hex, 4)])).collect()
}

/// WCAG 2's contrast of two colours.
fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let linear = |c: f64| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
    let luminance = |[r, g, b]: [f64; 3]| 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn text_is_readable_in_both_themes_and_bars_can_be_told_apart() {
    let blocks: Vec<&str> = include_str!("style.css").split(":root {").skip(1).collect();
    assert_eq!(blocks.len(), 2, "light and dark");
    for block in blocks {
        let colours = colours(block.split('}').next().unwrap());
        let text = [
            ("ink", "page"),
            ("ink", "card"),
            ("soft", "card"),
            ("soft", "page"),
            ("ink", "code"),
            ("drifted", "card"),
            ("drifted", "drifted-back"),
            ("warning", "card"),
            ("warning", "warning-back"),
            ("stable", "stable-back"),
            ("quarantine", "card"),
            ("quarantine", "quarantine-back"),
            ("few", "few-back"),
            ("ink", "h1"),
            ("ink", "h2"),
            ("h3-ink", "h3"),
        ];
        for (front, back) in text {
            let contrast = contrast(colours[front], colours[back]);
            assert!(contrast >= 4.5, "{front} on {back}: {contrast:.2}");
        }
        for (front, back) in [("window", "card"), ("window", "reference"), ("outline", "card")] {
            let contrast = contrast(colours[front], colours[back]);
            assert!(contrast >= 3.0, "{front} beside {back}: {contrast:.2}");
        }
    }
}
