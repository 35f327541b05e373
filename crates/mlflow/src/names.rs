//! Names and values as MLflow allows them.
//!
//! It refuses what is too long or has other characters, and whole requests with it; here nothing is ever refused for its name:
//! characters are replaced, values are cut and say so.

use std::collections::{BTreeMap, BTreeSet};

/// Longest key of a parameter, a metric or a tag.
pub(crate) const KEY: usize = 250;
/// Longest value of a parameter.
pub(crate) const PARAM: usize = 6_000;
/// Longest value of a tag.
pub(crate) const TAG: usize = 5_000;
/// Longest description of a model or a version.
pub(crate) const DESCRIPTION: usize = 5_000;
/// Longest name of a run, a registered model or an alias.
pub(crate) const NAME: usize = 250;
/// Longest digest of a dataset.
pub(crate) const DIGEST: usize = 36;
/// Longest schema of a dataset.
pub(crate) const SCHEMA: usize = 1_048_575;
/// Longest profile of a dataset.
pub(crate) const PROFILE: usize = 16_777_215;

/// The text, or its beginning and an ellipsis. MLflow counts characters, not bytes.
pub(crate) fn cut(text: &str, longest: usize) -> String {
    if text.chars().nth(longest).is_none() {
        return text.to_owned();
    }
    text.chars().take(longest - 1).chain(['…']).collect()
}

/// A key that MLflow takes. It is read as a path there, so it may neither begin nor end with `/` nor go up.
pub(crate) fn key(text: &str) -> String {
    let plain: String =
        text.chars().map(|c| if c.is_alphanumeric() || "_-. /:".contains(c) { c } else { '_' }).collect();
    let parts: Vec<&str> = plain
        .split('/')
        .map(|part| match part {
            "" | "." | ".." => "_",
            part => part,
        })
        .collect();
    cut_plain(&parts.join("/"), KEY)
}

/// Names that MLflow takes, by the names that there are: no two become the same.
pub(crate) fn keys<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeMap<&'a str, String> {
    let wanted: BTreeSet<&str> = names.into_iter().collect();
    // Those that may stay as they are do, whichever way the others are replaced.
    let mut taken: BTreeSet<String> =
        wanted.iter().filter(|name| key(name) == **name).map(|n| (*n).to_owned()).collect();
    let mut known = BTreeMap::new();
    for name in wanted {
        let plain = key(name);
        if plain == name {
            known.insert(name, plain);
            continue;
        }
        let mut free = plain.clone();
        let mut number = 2;
        while !taken.insert(free.clone()) {
            let suffix = format!("-{number}");
            free = cut_plain(&plain, KEY - suffix.len()) + &suffix;
            number += 1;
        }
        known.insert(name, free);
    }
    known
}

/// Name of an experiment or a registered model: these would be read as parts of an address, or of a question.
pub(crate) fn model(text: &str) -> String {
    let plain = text.replace(['/', ':', '\'', '"', '`'], "_");
    if plain.trim_matches(['.', ' ']).is_empty() { "_".to_owned() } else { cut_plain(&plain, NAME) }
}

/// Name of a logged model.
pub(crate) fn logged_model(text: &str) -> String {
    model(text).replace(['.', '%'], "_")
}

/// Name of an alias. `latest` and `v1` mean something else in MLflow.
pub(crate) fn alias(text: &str) -> String {
    let plain: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '_' }).collect();
    let lower = plain.to_ascii_lowercase();
    let numbered =
        lower.strip_prefix('v').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()));
    if lower == "latest" || numbered { format!("alias-{plain}") } else { cut_plain(&plain, NAME) }
}

/// Name of a file, without a folder.
pub(crate) fn file(text: &str) -> String {
    let plain: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '_' }).collect();
    if plain.trim_matches('.').is_empty() { "model.bin".to_owned() } else { cut_plain(&plain, NAME) }
}

fn cut_plain(text: &str, longest: usize) -> String {
    text.chars().take(longest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_by_characters_and_says_so() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }

    #[test]
    fn other_characters_and_paths_are_replaced() {
        assert_eq!(key("f1 (macro)"), "f1 _macro_");
        assert_eq!(key("précision/setosa"), "précision/setosa");
        assert_eq!(key("/a//../b/."), "_/a/_/_/b/_");
        assert_eq!(key(""), "_");
        assert_eq!(key(&"x".repeat(300)).len(), KEY);
    }

    #[test]
    fn no_two_names_become_the_same() {
        let known = keys(["a(b", "a_b", "a)b", "a_b-2"]);
        assert_eq!(known["a_b"], "a_b");
        assert_eq!(known["a_b-2"], "a_b-2");
        let all: BTreeSet<_> = known.values().collect();
        assert_eq!(all.len(), 4, "{known:?}");
        let (one, two) = ("x".repeat(260), "x".repeat(270));
        let known = keys([one.as_str(), two.as_str()]);
        assert_ne!(known[one.as_str()], known[two.as_str()]);
        assert!(known.values().all(|name| name.len() <= KEY));
    }

    #[test]
    fn names_that_mean_something_to_mlflow_are_not_used_as_aliases() {
        assert_eq!(alias("champion"), "champion");
        assert_eq!(alias("Latest"), "alias-Latest");
        assert_eq!(alias("v12"), "alias-v12");
        assert_eq!(alias("va"), "va");
        assert_eq!(model("a/b:c'"), "a_b_c_");
        assert_eq!(model(".."), "_");
        assert_eq!(logged_model("a.b"), "a_b");
        assert_eq!(file("../x"), ".._x");
        assert_eq!(file(".."), "model.bin");
    }
}
