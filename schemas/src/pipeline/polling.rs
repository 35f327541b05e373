//! A source that asks an HTTP API again and again.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::{FieldKind, RecordSchema};

/// The most fingerprints that are remembered of an API's rows: they travel in the source's checkpoints.
const MOST_REMEMBERED: usize = 50_000;
/// Headers whose values are secrets.
const SECRET_HEADERS: [&str; 6] =
    ["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token"];
/// Parameters whose values are secrets.
const SECRET_PARAMETERS: [&str; 7] =
    ["api_key", "apikey", "api-key", "access_token", "client_secret", "password", "secret"];

/// An HTTP API that is asked for rows, once or on a schedule. One round is a request, or one a page.
///
/// A row that the API answers again is not sent again: rows are told apart by the fields of `key`, or by all of their
/// fields, and the last `window` of them are remembered, and never fewer than one round answers. With a `cursor`, rows
/// that lie before it are known to have been sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpSource {
    /// Address of the first page, `http://` or `https://`, without secrets.
    pub url: String,
    /// Seconds from the beginning of one round to that of the next; absent: one round, and the source has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<f64>,
    /// Parameters of the query. `${NAME}` stands for the value of that environment variable.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// Headers of each request. `${NAME}` stands for the value of that environment variable, which is never shown.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How the answer is written.
    #[serde(default)]
    pub format: RowFormat,
    /// JSON pointer (RFC 6901) to the array of rows, such as `/data/items`; absent: the answer is the array.
    #[serde(default)]
    pub records: String,
    /// Key of a row → field of the record. A key that is a field's name needs no entry.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// Keys to pass over.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// Fields of the record that together tell a row from all others; absent: all of them.
    #[serde(default)]
    pub key: Vec<String>,
    /// A field that grows from row to row, which the API can be asked by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<RowCursor>,
    /// How the next page is asked for; absent: there is one page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paging: Option<Paging>,
    /// Rows that are remembered: 1 to 50,000. A round must not answer more, unless they come in the order of a cursor.
    #[serde(default = "window")]
    pub window: usize,
    /// Seconds that a request may take.
    #[serde(default = "timeout")]
    pub timeout: f64,
    /// Bytes that an answer may have.
    #[serde(default = "max_bytes")]
    pub max_bytes: usize,
}

/// How an API writes its rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowFormat {
    /// A JSON array of objects, which may stand inside of an object.
    #[default]
    Json,
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated, with a header row.
    Csv,
}

/// Asks only for what is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowCursor {
    /// Field of the record: an int, a long, a timestamp or a text. No row may appear with a smaller value than one that
    /// was answered in an earlier round.
    pub field: String,
    /// Parameter that its greatest value so far is sent as.
    pub parameter: String,
    /// Value to begin with; absent: the parameter is left out at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// How the value of a timestamp is sent.
    #[serde(default)]
    pub time: CursorTime,
    /// Whether rows come in the order of the field, smallest first. Then a round may be of any length, and an interrupted
    /// one goes on at its last page.
    #[serde(default)]
    pub ordered: bool,
}

/// How a point in time is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CursorTime {
    /// `2026-01-31T12:00:00.000Z`.
    #[default]
    Rfc3339,
    /// Milliseconds since 1970 UTC.
    Milliseconds,
    /// Seconds since 1970 UTC.
    Seconds,
}

/// How a page says where the next one is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Paging {
    /// The answer holds the next page's address; null, an empty text or none at the end.
    Next {
        /// JSON pointer to it.
        pointer: String,
    },
    /// The response has a header `Link: <…>; rel="next"`.
    LinkHeader,
    /// Pages are numbered; an empty one is the end.
    Page {
        /// Parameter of the page's number.
        parameter: String,
        /// Number of the first page.
        #[serde(default = "one")]
        first: u64,
    },
    /// Rows are passed over; a page with fewer than `limit` is the end.
    Offset {
        /// Parameter of the number of rows to pass over.
        parameter: String,
        /// Parameter of the number of rows wanted.
        limit_parameter: String,
        /// Rows of a page.
        limit: u64,
    },
    /// The answer holds a token for the next page; null, an empty text or none at the end.
    Cursor {
        /// JSON pointer to it.
        pointer: String,
        /// Parameter that it is sent as.
        parameter: String,
    },
}

fn window() -> usize {
    10_000
}

fn timeout() -> f64 {
    30.0
}

fn max_bytes() -> usize {
    16 << 20
}

fn one() -> u64 {
    1
}

impl HttpSource {
    /// What is wrong with the declaration, for people.
    pub fn faults(&self, schema: Option<&RecordSchema>) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |text: String| faults.push(text);
        match self.url.split_once("://") {
            Some(("http" | "https", rest)) if !rest.is_empty() => {
                if rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@')) {
                    fault("`url` holds a user or password, and URLs are shown: send them in a header, from the environment".to_owned());
                }
                if self.url.contains("${") {
                    fault(
                        "`url` is shown, so nothing of the environment stands in it: use `headers` or `parameters`"
                            .to_owned(),
                    );
                }
            }
            _ => fault(format!("`url: {}`: give an address that begins with http:// or https://", self.url)),
        }
        let secret = |(name, _): &(&String, &String)| SECRET_HEADERS.contains(&name.to_ascii_lowercase().as_str());
        for (name, value) in self.headers.iter().filter(secret) {
            if !value.contains("${") {
                fault(format!(
                    "the header `{name}` is a secret: name an environment variable, as in `{name}: \"${{MY_TOKEN}}\"`"
                ));
            }
        }
        let named = |names: &[&str], name: &str| names.contains(&name.to_ascii_lowercase().as_str());
        for (name, _) in
            self.parameters.iter().filter(|(name, value)| named(&SECRET_PARAMETERS, name) && !value.contains("${"))
        {
            fault(format!(
                "the parameter `{name}` is a secret: name an environment variable, as in `{name}: \"${{MY_KEY}}\"`"
            ));
        }
        let query = self.url.split_once('?').map_or("", |(_, query)| query);
        let written = query.split('&').filter_map(|pair| pair.split('=').next());
        for name in written.filter(|name| named(&SECRET_PARAMETERS, name)) {
            fault(format!("`url` holds the secret `{name}`: give it under `parameters`, from the environment"));
        }
        for text in self.headers.values().chain(self.parameters.values()) {
            if let Err(reason) = variables(text) {
                fault(reason);
            }
        }
        if self.every.is_some_and(|every| !(0.001..=31_536_000.0).contains(&every)) {
            fault("`every` is seconds between two rounds: give a number above 0".to_owned());
        }
        if !(0.001..=3_600.0).contains(&self.timeout) {
            fault("`timeout` is seconds, above 0 and up to 3600".to_owned());
        }
        if !(1..=MOST_REMEMBERED).contains(&self.window) {
            fault(format!("`window: {}`: give 1 to {MOST_REMEMBERED} rows", self.window));
        }
        if !(1..=1 << 30).contains(&self.max_bytes) {
            fault("`max_bytes` is 1 byte to 1 GiB".to_owned());
        }
        let within = [Some(("records", &self.records)), self.paging.as_ref().and_then(Paging::pointer)];
        for (what, pointer) in within.into_iter().flatten() {
            if !(pointer.is_empty() || pointer.starts_with('/')) {
                fault(format!("`{what}: {pointer}` is no JSON pointer: it begins with `/`, as in `/data/items`"));
            }
            if !pointer.is_empty() && self.format != RowFormat::Json {
                fault(format!("`{what}: {pointer}` points into a JSON answer, and `format` is another"));
            }
        }
        if let Some(Paging::Offset { limit: 0, .. }) = self.paging {
            fault("`limit` is the number of rows of a page: give 1 or more".to_owned());
        }
        if let (Some(cursor), Some(schema)) = (&self.cursor, schema)
            && let Some(field) = schema.field(&cursor.field)
            && !matches!(field.kind, FieldKind::Int | FieldKind::Long | FieldKind::Timestamp | FieldKind::String)
        {
            let kind = field.kind.title();
            fault(format!("`cursor`: `{}` is a {kind}: give an int, a long, a timestamp or a text", cursor.field));
        }
        faults
    }

    /// Fields of the record that the declaration names.
    pub fn fields(&self) -> impl Iterator<Item = &String> {
        self.columns.values().chain(&self.key).chain(self.cursor.iter().map(|cursor| &cursor.field))
    }

    /// The address without its query, for people.
    pub fn shown_url(&self) -> &str {
        self.url.split(['?', '#']).next().unwrap_or_default()
    }

    /// What it will do, in a few words.
    pub fn plan(&self) -> String {
        let rows = match self.format {
            RowFormat::Json => "json",
            RowFormat::Ndjson => "ndjson",
            RowFormat::Csv => "csv",
        };
        let when = self.every.map_or_else(|| "once".to_owned(), |every| format!("every {every} s"));
        let pages = match &self.paging {
            None => "",
            Some(Paging::Next { .. }) => ", pages by a link in the answer",
            Some(Paging::LinkHeader) => ", pages by the Link header",
            Some(Paging::Page { .. }) => ", pages by number",
            Some(Paging::Offset { .. }) => ", pages by offset",
            Some(Paging::Cursor { .. }) => ", pages by a token",
        };
        let told = match (&self.cursor, self.key.as_slice()) {
            (Some(cursor), _) => format!("rows after the last `{}`", cursor.field),
            (None, []) => "rows told apart by all of their fields".to_owned(),
            (None, key) => format!("rows told apart by {}", key.join(", ")),
        };
        format!("http {} ({rows}) {when}{pages}; {told}", self.shown_url())
    }
}

impl Paging {
    fn pointer(&self) -> Option<(&'static str, &String)> {
        match self {
            Self::Next { pointer } | Self::Cursor { pointer, .. } => Some(("pointer", pointer)),
            _ => None,
        }
    }
}

/// The parts of a text that may name environment variables: what stands as it is, and `Err` around a name.
pub fn variables(text: &str) -> Result<Vec<Result<&str, &str>>, String> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        let (name, behind) =
            after.split_once('}').ok_or_else(|| "`${` is opened and never closed by `}`".to_owned())?;
        let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !begins_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(format!("`${{{name}}}`: an environment variable's name has letters, digits and `_`"));
        }
        parts.push(Ok(before));
        parts.push(Err(name));
        rest = behind;
    }
    parts.push(Ok(rest));
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> HttpSource {
        serde_saphyr::from_str(&format!("url: https://h/x\n{text}")).unwrap()
    }

    #[test]
    fn every_kind_of_paging_can_be_written() {
        for (text, shown) in [
            ("", "once; rows told"),
            ("every: 30", "every 30 s"),
            ("paging: link_header", "Link header"),
            ("paging: { next: { pointer: /next } }", "link in the answer"),
            ("paging: { page: { parameter: page } }", "by number"),
            ("paging: { offset: { parameter: skip, limit_parameter: take, limit: 5 } }", "by offset"),
            ("paging: { cursor: { pointer: /token, parameter: after } }", "by a token"),
            ("cursor: { field: at, parameter: since }", "after the last `at`"),
            ("key: [id, at]", "told apart by id, at"),
        ] {
            let source = source(text);
            assert!(source.plan().contains(shown), "{}", source.plan());
            assert_eq!(source.faults(None), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn what_cannot_work_or_would_show_a_secret_is_told() {
        for (text, part) in [
            ("headers: { Authorization: Bearer 123 }", "${MY_TOKEN}"),
            ("headers: { x-api-key: 123 }", "is a secret"),
            ("parameters: { api_key: 123 }", "is a secret"),
            ("headers: { A: '${B' }", "never closed"),
            ("parameters: { A: '${B-C}' }", "letters, digits"),
            ("every: 0", "`every`"),
            ("timeout: 0", "`timeout`"),
            ("window: 0", "`window: 0`"),
            ("window: 50001", "50000"),
            ("records: data", "begins with `/`"),
            ("format: csv\nrecords: /data", "another"),
            ("paging: { offset: { parameter: a, limit_parameter: b, limit: 0 } }", "`limit`"),
        ] {
            let faults = source(text).faults(None).join("; ");
            assert!(faults.contains(part), "{text}: {faults}");
        }
        for (url, part) in [
            ("ftp://h", "http://"),
            ("https://u:p@h/", "password"),
            ("https://h/?api_key=1", "the secret"),
            ("https://h/${A}", "shown"),
        ] {
            let faults = HttpSource { url: url.to_owned(), ..source("") }.faults(None).join("; ");
            assert!(faults.contains(part), "{url}: {faults}");
        }
    }

    #[test]
    fn a_text_is_taken_apart_by_its_variables() {
        assert_eq!(variables("Bearer ${A}!").unwrap(), [Ok("Bearer "), Err("A"), Ok("!")]);
        assert_eq!(variables("$5 {a}").unwrap(), [Ok("$5 {a}")]);
    }
}
