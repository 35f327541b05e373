//! What strangers sent, made fit for a terminal.

use std::fmt::Write as _;

use serde_json::Value;

/// Whether a terminal may take a character for a command, or show the text around it as another one.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// `text` with every control character, and those that change the direction of writing, spelled out.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// The same for text of several lines.
pub fn escaped_lines(text: &str) -> String {
    text.lines().map(escaped).collect::<Vec<_>>().join("\n")
}

/// `text` escaped, and cut to `most` characters.
pub fn shortened(text: &str, most: usize) -> String {
    let safe = escaped(text);
    match safe.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &safe[..end]),
        None => safe,
    }
}

/// JSON whose strings hold no character that a terminal would obey: there, such characters have escapes of their own.
pub fn json(value: &Value) -> String {
    let mut safe = String::new();
    for c in value.to_string().chars() {
        if is_unsafe(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // A string takes any text, so writing to it does not fail.
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Bytes as a hex dump: offset, sixteen bytes, and what of them is ASCII.
pub fn hex_dump(bytes: &[u8]) -> String {
    let mut dump = String::new();
    for (row, chunk) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        let ascii: String =
            chunk.iter().map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' }).collect();
        let _ = writeln!(dump, "{:08x}  {:<47}  |{ascii}|", row * 16, hex.join(" "));
    }
    dump
}

/// Whether bytes are text that is shown as such: UTF-8, and nothing worse in it than line ends and tabs.
pub fn as_text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let fine = |c: char| matches!(c, '\n' | '\r' | '\t') || !c.is_control();
    (!text.is_empty() && text.chars().all(fine)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HOSTILE: &str = "a\u{1b}[2Jb\u{9b}31mc\u{202e}d\re\u{7}é";

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let safe = escaped(HOSTILE);
        assert_eq!(safe, "a\\u{1b}[2Jb\\u{9b}31mc\\u{202e}d\\re\\u{7}é");
        assert_eq!(escaped_lines("a\n\u{1b}b"), "a\n\\u{1b}b");
        assert_eq!(shortened("\u{1b}abc", 6), "\\u{1b}…");
        assert!(!safe.chars().any(is_unsafe));
    }

    #[test]
    fn json_is_safe_to_print_and_says_the_same() {
        let value = json!({ "text": HOSTILE });
        let printed = json(&value);
        assert!(!printed.chars().any(is_unsafe), "{printed}");
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), value);
    }

    #[test]
    fn bytes_are_dumped_sixteen_a_line() {
        let dump = hex_dump(b"\xc3\x01 text, and so on\n");
        let lines: Vec<&str> = dump.lines().collect();
        assert_eq!(lines[0], "00000000  c3 01 20 74 65 78 74 2c 20 61 6e 64 20 73 6f 20  |.. text, and so |");
        assert_eq!(lines[1].trim_end(), format!("00000010  {:<47}  |on.|", "6f 6e 0a"));
        assert_eq!(hex_dump(b""), "");
    }

    #[test]
    fn text_is_told_from_bytes() {
        assert_eq!(as_text("a,b\té\r\n".as_bytes()), Some("a,b\té\r\n"));
        for bytes in [&b""[..], b"\x00abc", b"\xff", b"a\x1b[2J"] {
            assert_eq!(as_text(bytes), None);
        }
    }
}
