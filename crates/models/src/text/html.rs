//! The text of an HTML fragment, whatever state the fragment is in.

/// Elements within a word: their tags leave nothing, all others a space, so that `<b>bo</b>ld` is one word and
/// `<td>a</td><td>b</td>` are two.
const INLINE: [&str; 20] = [
    "a", "abbr", "b", "bdi", "bdo", "cite", "code", "del", "em", "font", "i", "ins", "mark", "s", "small", "span",
    "strong", "sub", "sup", "u",
];
/// Elements whose content is no text.
const OPAQUE: [&str; 2] = ["script", "style"];

/// Without tags and comments, without the content of scripts and styles, with entities decoded.
///
/// Broken markup is read as a person would: a `<` that begins no tag, or a tag without its `>`, is text; a comment, script or style
/// without its end goes on to the end of the fragment; a quote without its partner does not hold the tag open.
pub fn strip_html(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        decode_into(&rest[..at], &mut text);
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            text.push(' ');
        } else if let Some((tag, after)) = split_tag(rest) {
            rest =
                if OPAQUE.contains(&tag.name.as_str()) && !tag.closes { skip_content(after, &tag.name) } else { after };
            if !INLINE.contains(&tag.name.as_str()) {
                text.push(' ');
            }
        } else {
            text.push('<');
            rest = &rest[1..];
        }
    }
    decode_into(rest, &mut text);
    text
}

struct Tag {
    /// In lower case, empty for a declaration such as `<!DOCTYPE html>`.
    name: String,
    closes: bool,
}

/// The tag that `html`, which begins with `<`, begins with, and what follows it.
fn split_tag(html: &str) -> Option<(Tag, &str)> {
    let inner = &html[1..];
    let declares = inner.starts_with(['!', '?']);
    let closes = inner.starts_with('/');
    let named = if closes { &inner[1..] } else { inner };
    if !declares && !named.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let name_end = named.find(|c: char| c.is_whitespace() || c == '/' || c == '>').unwrap_or(named.len());
    let name = if declares { String::new() } else { named[..name_end].to_ascii_lowercase() };
    let end = tag_end(inner).or_else(|| inner.find('>'))?;
    Some((Tag { name, closes }, &inner[end + 1..]))
}

/// Place of the first `>` outside of quotes, which only follow an `=`.
fn tag_end(inner: &str) -> Option<usize> {
    let (mut quote, mut before) = (None, ' ');
    for (at, c) in inner.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '>' => return Some(at),
            None if (c == '"' || c == '\'') && before == '=' => quote = Some(c),
            None => {}
        }
        if !c.is_whitespace() {
            before = c;
        }
    }
    None
}

/// What follows the end of the element `name`, whose content `html` begins with.
fn skip_content<'a>(html: &'a str, name: &str) -> &'a str {
    for (at, _) in html.match_indices("</") {
        let tag = &html[at..];
        // The name is ASCII: where its bytes fit, characters begin and end.
        if tag.as_bytes()[2..].get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes())) {
            return split_tag(tag).map_or("", |(_, after)| after);
        }
    }
    ""
}

fn decode_into(text: &str, out: &mut String) {
    html_escape::decode_html_entities_to_string(text, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    fn words(html: &str) -> String {
        strip_html(html).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn tags_go_and_words_stay_apart_or_together() {
        assert_eq!(
            words("<p>Ideal for cold&nbsp;weather.</p><p>&bull; Two<br/>tone</p>"),
            "Ideal for cold weather. • Two tone"
        );
        assert_eq!(words("<b>bo</b>ld H<sub>2</sub>O<td>a</td><td>b</td>"), "bold H2O a b");
        assert_eq!(words("<a title='x > y' href=\"z>\">link</a> don't"), "link don't");
        assert_eq!(words("<!DOCTYPE html><?xml version=\"1\"?>text<!-- <p>gone</p> -->more"), "text more");
    }

    #[test]
    fn scripts_and_styles_are_dropped() {
        assert_eq!(words("a<script>if (a<b) { \"</p>\" }</SCRIPT >b<style media=x>p{}</style>c"), "a b c");
        assert_eq!(words("a<script>never ends"), "a");
    }

    #[test]
    fn entities_are_decoded_once() {
        assert_eq!(words("caf&eacute; &#233; &#xE9; &lt;b&gt; &amp;lt; AT&T &unknown; &#xD800; &#99999999;"), {
            "café é é <b> &lt; AT&T &unknown; &#xD800; &#99999999;"
        });
    }

    #[test]
    fn broken_markup_is_read_as_text() {
        assert_eq!(words("3 < 4 and <5 or <"), "3 < 4 and <5 or <");
        assert_eq!(words("x <b"), "x <b");
        assert_eq!(words("<a href=\"open>link</a> tail"), "link tail");
        assert_eq!(words("text <!-- open"), "text");
        assert_eq!(words("<p>it's</p>"), "it's");
    }

    #[test]
    fn nothing_makes_it_panic() {
        const PIECES: [&str; 16] =
            ["<", ">", "</", "<!--", "-->", "script", "<script>", "\"", "'", "=", "&", "#x", ";", "é", "€😀", "style "];
        let mut rng = random::stream(1, 0);
        for _ in 0..20_000 {
            let html: String =
                (0..random::below(&mut rng, 12)).map(|_| PIECES[random::below(&mut rng, 16) as usize]).collect();
            strip_html(&html);
        }
    }
}
