//! Paths of files that a row names. What a row says is not trusted: it cannot lead out of the folder.

/// A relative path with `{column}` for cells of a row; `{{` and `}}` are braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Column(String),
}

/// Why a row names no file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unnamed<'a> {
    /// The cell of this column is empty.
    Empty(&'a str),
    /// The path would lead elsewhere: the column at fault and its cell.
    Forbidden(&'a str, String),
}

impl PathTemplate {
    /// Parses a template; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let at_fault = |what: &str| format!("the path `{text}` {what}");
        let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            plain += &rest[..at];
            let (brace, after) = rest[at..].split_at(1);
            if let Some(after) = after.strip_prefix(brace) {
                plain += brace;
                rest = after;
                continue;
            }
            let Some((column, after)) = after.split_once('}').filter(|_| brace == "{") else {
                return Err(at_fault("has a brace without its other half: write it twice if it is a part of the name"));
            };
            if column.contains('{') {
                return Err(at_fault("has a brace within braces: write `{column}` for a cell of the row"));
            }
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(Part::Column(column.to_owned()));
            rest = after;
        }
        parts.push(Part::Text(plain + rest));
        // A cell is never empty and has no separator, so any name in its place tells whether the rest is sound.
        let sample: String = parts.iter().map(|part| if let Part::Text(text) = part { text } else { "x" }).collect();
        if sample.contains(['\\', '\0']) || !sample.split('/').all(is_name) {
            return Err(at_fault("must be relative and stay in its folder: no `..`, and `/` only between names"));
        }
        Ok(Self { parts })
    }

    /// The columns it is made of.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| if let Part::Column(column) = part { Some(column.as_str()) } else { None })
    }

    /// The path with the cells of a row, in the order of [`columns`](Self::columns); `None` is an empty one.
    pub fn fill<'a>(&self, cells: impl IntoIterator<Item = Option<&'a str>>) -> Result<String, Unnamed<'_>> {
        let (mut path, mut cells) = (String::new(), cells.into_iter());
        for part in &self.parts {
            match part {
                Part::Text(text) => path += text,
                Part::Column(column) => match cells.next().flatten().map(str::trim).filter(|cell| !cell.is_empty()) {
                    None => return Err(Unnamed::Empty(column)),
                    Some(cell) if cell.contains(['/', '\\', '\0']) => {
                        return Err(Unnamed::Forbidden(column, cell.to_owned()));
                    }
                    Some(cell) => path += cell,
                },
            }
        }
        match self.columns().last() {
            Some(column) if !path.split('/').all(is_name) => Err(Unnamed::Forbidden(column, path)),
            _ => Ok(path),
        }
    }
}

/// Whether a part of a path is the name of something in its folder.
fn is_name(part: &str) -> bool {
    !matches!(part, "" | "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_take_the_place_of_columns() {
        let template = PathTemplate::parse("images/{a}_{{x}}_{}.jpg").unwrap();
        assert_eq!(template.columns().collect::<Vec<_>>(), ["a", ""]);
        assert_eq!(template.fill([Some(" 1 "), Some("b c")]).unwrap(), "images/1_{x}_b c.jpg");
        assert_eq!(template.fill([Some("1"), None]), Err(Unnamed::Empty("")));
        assert_eq!(template.fill([Some(" "), Some("2")]), Err(Unnamed::Empty("a")));
        assert_eq!(PathTemplate::parse("one.png").unwrap().fill([]).unwrap(), "one.png");
    }

    #[test]
    fn no_cell_leads_out_of_the_folder() {
        let template = PathTemplate::parse("images/{a}").unwrap();
        for cell in ["..", ".", "../x", "/etc/passwd", "a/b", "a\\b", "a\0"] {
            assert!(matches!(template.fill([Some(cell)]), Err(Unnamed::Forbidden("a", _))), "{cell}");
        }
        let twice = PathTemplate::parse("{a}{b}/x").unwrap();
        assert!(matches!(twice.fill([Some("."), Some(".")]), Err(Unnamed::Forbidden("b", _))));
        assert_eq!(twice.fill([Some("."), Some("b")]).unwrap(), ".b/x");
    }

    #[test]
    fn templates_that_lead_out_or_are_broken_are_refused() {
        for text in ["", "/x", "../{a}", "a/../b", "a//b", "a/", "./a", "a\\b", "{a", "a}", "{a{b}}"] {
            assert!(PathTemplate::parse(text).is_err(), "{text}");
        }
    }
}
