//! IN and LIKE: literals are prepared once.

use regex::{Regex, RegexBuilder};
use sqlparser::ast::Expr;

use super::Compiler;
use super::literals::{Literal, literal, text};
use super::types::{Type, Typed};
use crate::Error;
use crate::code::{Comparison, Operation};

/// Memory of one compiled pattern, in bytes.
const MAX_PATTERN: usize = 1 << 20;

impl Compiler<'_> {
    /// Literals are looked up in a sorted set; a list with expressions is a chain of comparisons.
    pub(super) fn in_list(&mut self, of: Typed, list: &[Expr], depth: usize) -> Result<Typed, Error> {
        let literals = list.iter().map(literal).collect::<Result<Option<Vec<_>>, _>>()?;
        let within = match literals {
            Some(literals) => self.in_literals(of, &literals)?,
            None => None,
        };
        if let Some(within) = within {
            return Ok(within);
        }
        let mut within = None;
        for candidate in list {
            let candidate = self.expression(candidate, depth)?;
            let equal = self.compare("IN", Comparison::Equal, of, candidate)?;
            within = Some(within.map_or(equal, |within| self.or(within, equal)));
        }
        within.ok_or_else(|| Error::Syntax("`IN ()` is empty".to_owned()))
    }

    /// `None` for the types that need no set.
    fn in_literals(&mut self, of: Typed, list: &[Literal]) -> Result<Option<Typed>, Error> {
        let typed = |kind: Type| Typed { kind, ..of };
        let kinds: Vec<Typed> = [of].into_iter().chain(list.iter().map(|literal| typed(literal.kind()))).collect();
        let kind = Self::common_type("IN", &kinds)?;
        let of = self.coerce(of, kind).register.index;
        let operation = match kind {
            Type::Null | Type::Boolean => return Ok(None),
            Type::Integer | Type::Timestamp => {
                let mut set: Vec<i64> = list.iter().filter_map(Literal::integer).collect();
                set.sort_unstable();
                self.code.integer_sets.push(set);
                Operation::InIntegers(of, self.code.integer_sets.len() as u32 - 1)
            }
            Type::Number => {
                let mut set: Vec<f64> = list.iter().filter_map(Literal::number).collect();
                set.sort_unstable_by(f64::total_cmp);
                self.code.number_sets.push(set);
                Operation::InNumbers(of, self.code.number_sets.len() as u32 - 1)
            }
            Type::Text => {
                let mut set: Vec<Box<str>> = list.iter().filter_map(Literal::text).map(Box::from).collect();
                set.sort_unstable();
                self.code.text_sets.push(set);
                Operation::InTexts(of, self.code.text_sets.len() as u32 - 1)
            }
        };
        let within = self.emit(operation, Type::Boolean);
        if !list.contains(&Literal::Null) {
            return Ok(Some(within));
        }
        // Not among the others, but perhaps equal to the unknown.
        let null = self.null();
        let null = self.coerce(null, Type::Boolean);
        Ok(Some(self.or(within, null)))
    }

    pub(super) fn like(
        &mut self,
        place: &str,
        of: Typed,
        pattern: &Expr,
        escape: Option<&Expr>,
    ) -> Result<Typed, Error> {
        let pattern = text(&format!("the pattern of {place}"), pattern)?;
        let escape = match escape.map(|escape| text("ESCAPE", escape)).transpose()? {
            None => None,
            Some(given) => {
                let mut characters = given.chars();
                match (characters.next(), characters.next()) {
                    (Some(escape), None) => Some(escape),
                    _ => return Err(Error::Type("ESCAPE wants one character in single quotes".to_owned())),
                }
            }
        };
        let regex = like_to_regex(pattern, escape)?;
        let flags = if place == "ILIKE" { "(?si)" } else { "(?s)" };
        self.matches(place, of, &format!("{flags}^(?:{regex})$"))
    }

    /// Whether the pattern is found anywhere in the text.
    pub(super) fn matches(&mut self, place: &str, of: Typed, pattern: &str) -> Result<Typed, Error> {
        let of = self.expect(place, of, Type::Text)?;
        let number = match self.code.patterns.iter().position(|known| known.as_str() == pattern) {
            Some(number) => number,
            None => {
                let compiled: Result<Regex, _> = RegexBuilder::new(pattern).size_limit(MAX_PATTERN).build();
                let compiled = compiled.map_err(|error| match error {
                    regex::Error::CompiledTooBig(_) => Error::TooLarge(format!("the pattern of {place}")),
                    // The last line of the parser's picture says what is wrong.
                    error => {
                        let text = error.to_string();
                        let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                        Error::Type(format!("the pattern of {place} is no regular expression: {reason}"))
                    }
                })?;
                self.code.patterns.push(compiled);
                self.code.patterns.len() - 1
            }
        };
        Ok(self.emit(Operation::Matches(of.register.index, number as u32), Type::Boolean))
    }
}

/// `%` is any text and `_` any character; what follows the escape character stands for itself.
fn like_to_regex(pattern: &str, escape: Option<char>) -> Result<String, Error> {
    let mut regex = String::with_capacity(pattern.len() * 2);
    let mut characters = pattern.chars();
    let mut buffer = [0; 4];
    while let Some(character) = characters.next() {
        if Some(character) == escape {
            let next = characters.next();
            let next =
                next.ok_or_else(|| Error::Type("the pattern of LIKE ends in its ESCAPE character".to_owned()))?;
            regex.push_str(&regex::escape(next.encode_utf8(&mut buffer)));
        } else {
            match character {
                '%' => regex.push_str(".*"),
                '_' => regex.push('.'),
                other => regex.push_str(&regex::escape(other.encode_utf8(&mut buffer))),
            }
        }
    }
    Ok(regex)
}

impl Literal {
    fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(value) | Self::Timestamp(value) => Some(*value),
            _ => None,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Number(value) => Some(*value),
            _ => None,
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}
