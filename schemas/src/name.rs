//! Names that become topics, tables and paths, and the "did you mean" shown for one that is not known.

/// The longest pipeline, feature or source name: topics allow 249 characters and we add a suffix, ClickHouse allows more.
pub const MAX_LEN: usize = 64;

/// Why a name cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` is not a usable name: use 1 to {MAX_LEN} lower-case letters, digits and `_`, beginning with a letter"
)]
pub struct Error {
    /// The name as it was written.
    pub name: String,
}

/// Accepts `name` if it is safe as a topic, a table, a column and a file name everywhere: `[a-z][a-z0-9_]{0,63}`.
pub fn check(name: &str) -> Result<(), Error> {
    let mut bytes = name.bytes();
    let starts_well = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
    let goes_on_well = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if starts_well && goes_on_well && name.len() <= MAX_LEN { Ok(()) } else { Err(Error { name: name.to_owned() }) }
}

/// `text`, cut to what an error message can bear.
pub fn shortened(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The candidate most like `wanted` (Jaro-Winkler ≥ 0.75), for "did you mean" in an error.
pub fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The comparison takes the product of both lengths, and what somebody sent may be of any.
    let wanted = wanted.char_indices().nth(2 * MAX_LEN).map_or(wanted, |(end, _)| &wanted[..end]);
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(wanted, candidate), candidate))
        .filter(|(score, _)| *score >= 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// `", did you mean `x`?"` when something known is near, and nothing otherwise: to be appended to an error.
pub fn did_you_mean<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(wanted, candidates).map(|near| format!(", did you mean `{near}`?")).unwrap_or_default()
}

/// The same for serde's complaint about an unknown field or variant, which names what was found and what is known: "unknown
/// field `x`, expected one of `a`, `b`", with or without the back quotes around the latter. Nothing for any other text.
pub fn hint_for(complaint: &str) -> String {
    let rest = complaint.strip_prefix("unknown field `").or_else(|| complaint.strip_prefix("unknown variant `"));
    let Some((wanted, rest)) = rest.and_then(|rest| rest.split_once('`')) else { return String::new() };
    let Some((_, known)) = rest.split_once("expected ") else { return String::new() };
    let known = known.strip_prefix("one of ").unwrap_or(known);
    did_you_mean(wanted, known.split(',').map(|name| name.trim().trim_matches('`')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_lower_case_identifier() {
        for good in ["iris", "a", "x_1", &"a".repeat(MAX_LEN)] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", "Iris", "1x", "_x", "a-b", "a.b", "a/b", "é", &"a".repeat(MAX_LEN + 1)] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        assert_eq!(nearest("petal_lenght", ["petal_length", "sepal_width"]), Some("petal_length"));
        assert_eq!(nearest("zzz", ["petal_length"]), None);
        assert_eq!(did_you_mean("featurs", ["features"]), ", did you mean `features`?");
    }

    #[test]
    fn a_complaint_of_serde_gets_a_hint() {
        let hint = ", did you mean `features`?";
        assert_eq!(hint_for("unknown field `featurs`, expected one of `name`, `features`"), hint);
        assert_eq!(hint_for("unknown field `featurs`, expected one of name, features, label"), hint);
        assert_eq!(hint_for("invalid type: string"), "");
    }
}
