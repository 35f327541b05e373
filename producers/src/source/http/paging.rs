//! Which page comes next.

use driftmill_schemas::pipeline::Paging;
use url::Url;

use super::client::{Answer, origin};
use super::pointer;

/// Pages of one round, at most: an API that never ends is at fault.
pub(super) const MOST_PAGES: u64 = 100_000;

/// One page of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Page {
    /// The declared address, as it is.
    First,
    /// An address that the page before named.
    At(Url),
    /// By number.
    Numbered(u64),
    /// Behind so many rows.
    Behind(u64),
    /// By a token that the page before named.
    Token(String),
}

/// Where a round begins.
pub(super) fn first(paging: Option<&Paging>) -> Page {
    match paging {
        Some(Paging::Page { first, .. }) => Page::Numbered(*first),
        Some(Paging::Offset { .. }) => Page::Behind(0),
        _ => Page::First,
    }
}

/// The address of a page.
pub(super) fn url(base: &Url, paging: Option<&Paging>, page: &Page) -> Url {
    let mut url = base.clone();
    match (page, paging) {
        (Page::At(at), _) => return at.clone(),
        (Page::Numbered(number), Some(Paging::Page { parameter, .. })) => {
            url.query_pairs_mut().append_pair(parameter, &number.to_string());
        }
        (Page::Behind(rows), Some(Paging::Offset { parameter, limit_parameter, limit })) => {
            let mut pairs = url.query_pairs_mut();
            pairs.append_pair(parameter, &rows.to_string()).append_pair(limit_parameter, &limit.to_string());
        }
        (Page::Token(token), Some(Paging::Cursor { parameter, .. })) => {
            url.query_pairs_mut().append_pair(parameter, token);
        }
        _ => {}
    }
    url
}

/// The page after `page`, whose address is `here` and whose answer has so many `rows`; `None` at the end. With `secret`, it
/// must be at the same origin. `Err` says what is wrong with what the answer says.
pub(super) fn next(
    paging: Option<&Paging>,
    page: &Page,
    here: &Url,
    answer: &Answer,
    rows: u64,
    secret: bool,
) -> Result<Option<Page>, String> {
    let next = match (paging, page) {
        (None, _) => None,
        (Some(Paging::Next { pointer }), _) => pointer::text(&answer.body, pointer).map(|to| at(here, &to)),
        (Some(Paging::LinkHeader), _) => answer.links.iter().find_map(|link| next_link(link)).map(|to| at(here, to)),
        (Some(Paging::Page { .. }), Page::Numbered(number)) => (rows > 0).then(|| Ok(Page::Numbered(number + 1))),
        (Some(Paging::Offset { limit, .. }), Page::Behind(behind)) => {
            (rows >= *limit).then(|| Ok(Page::Behind(behind + rows)))
        }
        (Some(Paging::Cursor { pointer, .. }), _) => {
            pointer::text(&answer.body, pointer).map(|token| Ok(Page::Token(token)))
        }
        (Some(Paging::Page { .. } | Paging::Offset { .. }), _) => None,
    };
    let Some(next) = next.transpose()? else { return Ok(None) };
    if next == *page || matches!(&next, Page::At(url) if url == here) {
        return Err("the answer names its own page as the next one".to_owned());
    }
    if let Page::At(url) = &next
        && secret
        && url.origin() != here.origin()
    {
        return Err(format!(
            "the next page is at another origin, {}, which is not sent the secrets of this one",
            origin(url)
        ));
    }
    Ok(Some(next))
}

fn at(here: &Url, to: &str) -> Result<Page, String> {
    let url = here.join(to).map_err(|_| "the address of the next page is none".to_owned())?;
    if matches!(url.scheme(), "http" | "https") {
        Ok(Page::At(url))
    } else {
        Err(format!("the address of the next page begins with `{}:`", url.scheme()))
    }
}

/// The target of `rel="next"` in a `Link` header (RFC 8288), which may list several.
fn next_link(header: &str) -> Option<&str> {
    let mut rest = header;
    while let Some((_, begun)) = rest.split_once('<') {
        let (target, behind) = begun.split_once('>')?;
        let end = behind.find('<').unwrap_or(behind.len());
        let is_next = behind[..end].split([';', ',']).any(|parameter| {
            let Some((name, value)) = parameter.split_once('=') else { return false };
            let value = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel")
                && value.split_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(target);
        }
        rest = &behind[end..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paging(text: &str) -> Paging {
        match text {
            "next" => Paging::Next { pointer: "/links/next".to_owned() },
            "link" => Paging::LinkHeader,
            "page" => Paging::Page { parameter: "p".to_owned(), first: 1 },
            "offset" => Paging::Offset { parameter: "skip".to_owned(), limit_parameter: "take".to_owned(), limit: 10 },
            _ => Paging::Cursor { pointer: "/token".to_owned(), parameter: "after".to_owned() },
        }
    }

    fn here() -> Url {
        Url::parse("https://h/a/rows?x=1").unwrap()
    }

    fn after(kind: &str, page: &Page, body: &str, links: &[&str], rows: u64) -> Result<Option<String>, String> {
        let links = links.iter().map(|&link| link.to_owned()).collect();
        let answer = Answer { body: body.as_bytes().to_vec(), links, ..Answer::default() };
        let paging = paging(kind);
        let next = next(Some(&paging), page, &here(), &answer, rows, true)?;
        Ok(next.map(|next| url(&here(), Some(&paging), &next).to_string()))
    }

    #[test]
    fn each_kind_of_paging_finds_the_next_page_and_the_end() {
        let to = |url: &str| Ok(Some(url.to_owned()));
        let cases = [
            (after("next", &Page::First, r#"{"links":{"next":"/a/rows?x=2"}}"#, &[], 1), to("https://h/a/rows?x=2")),
            (after("next", &Page::First, r#"{"links":{"next":null}}"#, &[], 1), Ok(None)),
            (after("next", &Page::First, r#"{"links":{"next":""}}"#, &[], 1), Ok(None)),
            (after("link", &Page::First, "", &["<?x=3>; rel=\"next\""], 1), to("https://h/a/rows?x=3")),
            (
                after("link", &Page::First, "", &["<?x=0>; rel=prev, <?x=4>; title=\"a\"; REL=\"last next\""], 1),
                to("https://h/a/rows?x=4"),
            ),
            (after("link", &Page::First, "", &["<?x=0>; rel=prev", "<?x=9"], 1), Ok(None)),
            (after("page", &Page::Numbered(1), "", &[], 7), to("https://h/a/rows?x=1&p=2")),
            (after("page", &Page::Numbered(2), "", &[], 0), Ok(None)),
            (after("offset", &Page::Behind(10), "", &[], 10), to("https://h/a/rows?x=1&skip=20&take=10")),
            (after("offset", &Page::Behind(20), "", &[], 9), Ok(None)),
            (after("cursor", &Page::First, r#"{"token":"a&b"}"#, &[], 1), to("https://h/a/rows?x=1&after=a%26b")),
            (after("cursor", &Page::First, r#"{"token":17}"#, &[], 1), to("https://h/a/rows?x=1&after=17")),
            (after("cursor", &Page::First, "{}", &[], 1), Ok(None)),
        ];
        for (found, wanted) in cases {
            assert_eq!(found, wanted);
        }
        assert_eq!(url(&here(), Some(&paging("page")), &first(Some(&paging("page")))).query(), Some("x=1&p=1"));
        let start = first(Some(&paging("offset")));
        assert_eq!(url(&here(), Some(&paging("offset")), &start).query(), Some("x=1&skip=0&take=10"));
    }

    #[test]
    fn a_page_that_leads_astray_is_told() {
        for (outcome, part) in [
            (after("next", &Page::First, r#"{"links":{"next":"https://other/?key=1"}}"#, &[], 1), "https://other,"),
            (after("next", &Page::First, r#"{"links":{"next":"file:///x"}}"#, &[], 1), "`file:`"),
            (after("next", &Page::First, r#"{"links":{"next":"https://h/a/rows?x=1"}}"#, &[], 1), "its own page"),
            (after("cursor", &Page::Token("t".to_owned()), r#"{"token":"t"}"#, &[], 1), "its own page"),
        ] {
            let error = outcome.unwrap_err();
            assert!(error.contains(part) && !error.contains("key=1"), "{error}");
        }
    }
}
