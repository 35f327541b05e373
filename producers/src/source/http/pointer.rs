//! JSON pointers (RFC 6901) into a text that is not taken apart otherwise, so that rows stay as they were written.

use std::collections::HashMap;

use serde_json::value::RawValue;

/// What stands at `pointer`; `None` when there is nothing.
pub(super) fn find<'a>(value: &'a RawValue, pointer: &str) -> Option<&'a RawValue> {
    let mut at = value;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        at = match at.get().trim_start().as_bytes().first()? {
            b'{' => serde_json::from_str::<HashMap<String, &RawValue>>(at.get()).ok()?.remove(&token)?,
            b'[' => *serde_json::from_str::<Vec<&RawValue>>(at.get()).ok()?.get(token.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(at)
}

/// The text or number at `pointer`; `None` when there is nothing, null, or an empty text.
pub(super) fn text(body: &[u8], pointer: &str) -> Option<String> {
    let value: &RawValue = serde_json::from_slice(body).ok()?;
    match serde_json::from_str(find(value, pointer)?.get()).ok()? {
        serde_json::Value::String(text) if !text.is_empty() => Some(text),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_find_what_they_name() {
        let body = br#"{"a":{"b/c":[10,{"d~":"x"}],"n":null,"e":""}, "f" : 1.50}"#;
        let value: &RawValue = serde_json::from_slice(body).unwrap();
        for (pointer, wanted) in [
            ("/a/b~1c/0", Some("10")),
            ("/a/b~1c/1/d~0", Some("\"x\"")),
            ("/f", Some("1.50")),
            ("/a/b~1c/2", None),
            ("/f/g", None),
            ("/x", None),
        ] {
            assert_eq!(find(value, pointer).map(RawValue::get), wanted, "{pointer}");
        }
        assert_eq!(find(value, "").map(RawValue::get), Some(value.get()));
        assert_eq!(text(body, "/a/b~1c/1/d~0").as_deref(), Some("x"));
        assert_eq!(
            [text(body, "/a/n"), text(body, "/a/e"), text(body, "/a"), text(b"no", "")],
            [None, None, None, None]
        );
    }
}
