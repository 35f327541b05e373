//! What writes to the page. Source text goes in as it is, everything else escaped: the types keep the two apart.

use super::format::{is_unsafe, shortened};

/// Columns of a name that a page shows where there is no room for more; the rest is in its tooltip.
const NAME: usize = 60;
/// Columns of a tooltip.
const TOOLTIP: usize = 400;

/// A page being written.
#[derive(Default)]
pub(super) struct Html(String);

impl Html {
    /// Markup: of this source, as only that lives for ever.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Any text, within an element or a quoted attribute.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                // A line never ends between a number and its percent sign.
                ' ' if chars.peek() == Some(&'%') => self.0.push('\u{a0}'),
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c if is_unsafe(c) => self.0.extend(c.escape_default()),
                c => self.0.push(c),
            }
        }
        self
    }

    /// A whole number.
    pub(super) fn number(&mut self, number: usize) -> &mut Self {
        self.text(&number.to_string())
    }

    /// A name that a stranger gave: its direction of writing is kept to itself, and its length is bounded.
    pub(super) fn name(&mut self, name: &str) -> &mut Self {
        let short = shortened(name, NAME);
        self.raw("<bdi");
        if short != name {
            self.raw(" title=\"").text(&shortened(name, TOOLTIP)).raw("\"");
        }
        self.raw(">").text(&short).raw("</bdi>")
    }

    /// The page.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> String {
        let mut html = Html::default();
        html.text(text);
        html.finish()
    }

    #[test]
    fn markup_in_text_stays_text() {
        assert_eq!(text(r#"<b a="1" c='2'>&amp;"#), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;");
    }

    #[test]
    fn what_cannot_be_seen_is_spelled_out() {
        assert_eq!(text("a\u{202e}b\0c\u{1b}[31m\n"), "a\\u{202e}b\\u{0}c\\u{1b}[31m\\n");
        assert_eq!(text("Größe 身長 الطول"), "Größe 身長 الطول");
        assert_eq!(text("1 % of 2"), "1\u{a0}% of 2");
    }

    #[test]
    fn a_long_name_is_cut_in_the_middle_and_whole_in_its_tooltip() {
        let mut html = Html::default();
        html.name(&format!("{}{}", "a".repeat(100), "z".repeat(100)));
        let page = html.finish();
        assert!(page.contains(&format!("{}{}", "a".repeat(100), "z".repeat(100))), "{page}");
        assert!(page.contains(">aaaa") && page.contains("a…z") && page.contains("zzz</bdi>"), "{page}");
        let mut html = Html::default();
        html.name(&"x".repeat(100_000));
        assert!(html.finish().len() < 600);
    }
}
