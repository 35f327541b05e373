//! Text to syntax tree, within limits that hold whoever wrote the text.

use sqlparser::ast::Expr;
use sqlparser::dialect::Dialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Tokenizer};

use crate::Error;

/// The longest expression, in bytes; a list of ten thousand classes fits.
const MAX_BYTES: usize = 1 << 20;
/// The most names, keywords and operators. The parser builds a chain `a + b + …` as a tree as deep as the chain is
/// long, and freeing such a tree recurses: this bounds it. Literals and commas are free.
const MAX_WORDS: usize = 2_000;
/// Levels of nesting.
pub(crate) const MAX_DEPTH: usize = 64;

/// Plain SQL: double-quoted names, and none of the extensions the larger dialects guess at.
#[derive(Debug)]
struct PlainSql;

impl Dialect for PlainSql {
    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_'
    }

    fn identifier_quote_style(&self, _identifier: &str) -> Option<char> {
        Some('"')
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '"'
    }

    /// A fault within these is reported as such; otherwise the parser tries the word as a name, and the fault would be
    /// whatever follows it.
    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        matches!(
            keyword,
            Keyword::CASE | Keyword::CAST | Keyword::EXISTS | Keyword::NOT | Keyword::TRIM | Keyword::TRY_CAST
        )
    }
}

/// Parses one scalar expression and nothing after it.
pub(crate) fn expression(text: &str) -> Result<Expr, Error> {
    if text.len() > MAX_BYTES {
        return Err(Error::TooLarge(format!("{} bytes, at most {MAX_BYTES} are allowed", text.len())));
    }
    let tokens = Tokenizer::new(&PlainSql, text).tokenize_with_location().map_err(|e| syntax(e.into()))?;
    let words = tokens
        .iter()
        .filter(|at| {
            let free = matches!(
                at.token,
                Token::Whitespace(_) | Token::Number(..) | Token::SingleQuotedString(_) | Token::Comma
            );
            !free
        })
        .count();
    if words > MAX_WORDS {
        return Err(Error::TooLarge(format!("{words} names and operators, at most {MAX_WORDS} are allowed")));
    }
    if words == 0 && tokens.iter().all(|at| matches!(at.token, Token::Whitespace(_))) {
        return Err(Error::Syntax("it is empty".to_owned()));
    }
    let mut parser = Parser::new(&PlainSql).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens);
    let tree = parser.parse_expr().map_err(syntax)?;
    let rest = parser.peek_token();
    match rest.token {
        Token::EOF => Ok(tree),
        token => Err(Error::Syntax(format!("`{token}` at {} does not belong to it", place(rest.span.start)))),
    }
}

fn place(at: sqlparser::tokenizer::Location) -> String {
    if at.line > 1 { format!("line {}, column {}", at.line, at.column) } else { format!("column {}", at.column) }
}

fn syntax(error: ParserError) -> Error {
    match error {
        ParserError::RecursionLimitExceeded => Error::TooDeep(MAX_DEPTH),
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            Error::Syntax(message.replace(" at Line: 1, Column: ", " at column "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_an_error_in_reasonable_time() {
        let many = |part: &str, count: usize| part.repeat(count);
        for text in [
            many("(", 100_000),
            format!("{}1{}", many("(", 900), many(")", 900)),
            many("CASE ", 1_900),
            many("NOT ", 1_900),
            many("- ", 1_900),
            many("abs(", 900),
            many("x[", 900),
            many("x IN (", 600),
            many("CASE WHEN (", 600),
            many("CAST(", 900),
            many("{", 900),
            many("(SELECT ", 900),
            many("INTERVAL ", 900),
            many("a.", 900),
            "x".repeat(MAX_BYTES + 1),
            "'".to_owned(),
            "\0".to_owned(),
            String::new(),
            " -- nothing".to_owned(),
        ] {
            assert!(expression(&text).is_err(), "{}", &text[..text.len().min(40)]);
        }
    }

    #[test]
    fn a_long_chain_and_a_long_list_are_fine() {
        assert!(expression(&format!("1{}", " + 1".repeat(1_900))).is_ok());
        assert!(expression(&format!("x IN ('a'{})", ", 'abcdefgh'".repeat(20_000))).is_ok());
    }

    #[test]
    fn what_follows_an_expression_is_refused_with_its_place() {
        let error = expression("a + b; DROP TABLE x").unwrap_err().to_string();
        assert!(error.contains("`;` at column 6"), "{error}");
        let error = expression("a +").unwrap_err().to_string();
        assert!(error.starts_with("is no SQL expression"), "{error}");
    }
}
