//! The cells of one row whose quotes are known to be in order.

use std::borrow::Cow;

/// The cells of `row`, without their quotes.
pub(super) fn split(row: &str, delimiter: char) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = Some(row);
    std::iter::from_fn(move || {
        let (cell, after) = next(rest?, delimiter);
        rest = after;
        Some(cell)
    })
}

fn next(rest: &str, delimiter: char) -> (Cow<'_, str>, Option<&str>) {
    let Some(quoted) = rest.strip_prefix('"') else {
        return match rest.split_once(delimiter) {
            Some((cell, after)) => (Cow::Borrowed(cell), Some(after)),
            None => (Cow::Borrowed(rest), None),
        };
    };
    let (mut from, mut doubled) = (0, false);
    let end = loop {
        match quoted[from..].find('"') {
            Some(at) if quoted[from + at + 1..].starts_with('"') => {
                doubled = true;
                from += at + 2;
            }
            Some(at) => break from + at,
            None => break quoted.len(),
        }
    };
    let cell = if doubled { Cow::Owned(quoted[..end].replace("\"\"", "\"")) } else { Cow::Borrowed(&quoted[..end]) };
    let after = quoted.get(end + 1..).and_then(|after| after.strip_prefix(delimiter));
    (cell, after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_taken_off_and_empty_cells_are_cells() {
        let cells: Vec<_> = split(r#"a,,"b,""c""","",d,"#, ',').collect();
        assert_eq!(cells, ["a", "", "b,\"c\"", "", "d", ""]);
        assert_eq!(split("", ',').count(), 1);
    }
}
