//! How the records of a body are written, by its content type. A page of another origin can make a browser post a form or
//! plain text here, but none of these.

use axum::http::{HeaderMap, StatusCode, header};

use crate::fault::Fault;

/// A form of bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `application/x-ndjson`: one JSON object a line.
    Lines,
    /// `application/json`: one object, or an array of them.
    Json,
    /// `application/avro`: an object container, or records in single-object encoding one after the other.
    Avro,
}

impl Format {
    /// The form that the headers declare.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Fault> {
        let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut parts = declared.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let format = match kind.as_str() {
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Self::Lines,
            "application/json" => Self::Json,
            "application/avro" | "avro/binary" => Self::Avro,
            _ => return Err(refused(&format!("`{}` is not read here", shown(declared)))),
        };
        let charset =
            parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.eq_ignore_ascii_case("charset"));
        match charset {
            Some((_, charset)) if !charset.trim_matches('"').eq_ignore_ascii_case("utf-8") => {
                Err(refused(&format!("the charset `{}` is not read here, only UTF-8", shown(charset))))
            }
            _ => Ok(format),
        }
    }
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

fn refused(what: &str) -> Fault {
    Fault::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        format!(
            "{what}: declare the body by Content-Type as application/x-ndjson (one JSON object a line), application/json \
             (an object, or an array of objects) or application/avro (an object container, or single-object encoding)"
        ),
    )
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_form_is_declared_or_refused() {
        let of = |text: &str| {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_str(text).unwrap())]);
            Format::of(&headers).map_err(|fault| fault.status.as_u16())
        };
        for (text, wanted) in [
            ("application/x-ndjson", Ok(Format::Lines)),
            ("application/json; charset=utf-8", Ok(Format::Json)),
            ("Application/JSON;Charset=\"UTF-8\"", Ok(Format::Json)),
            ("application/avro", Ok(Format::Avro)),
            ("application/json; charset=latin1", Err(415)),
            ("text/plain", Err(415)),
            ("text/csv", Err(415)),
            ("application/x-www-form-urlencoded", Err(415)),
            ("", Err(415)),
        ] {
            assert_eq!(of(text), wanted, "{text}");
        }
        assert!(Format::of(&HeaderMap::new()).is_err());
    }
}
