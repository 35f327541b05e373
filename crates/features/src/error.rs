//! Why an expression cannot be compiled.

/// What is wrong with an expression, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is no SQL expression.
    #[error("is no SQL expression: {0}")]
    Syntax(String),
    /// The text exceeds a limit.
    #[error("is too large: {0}")]
    TooLarge(String),
    /// Parentheses, calls or cases inside each other beyond the limit.
    #[error("is nested too deeply: at most {0} levels are allowed; split it into several features")]
    TooDeep(usize),
    /// A name that is no field of the record.
    #[error("the record has no field `{name}`{hint}")]
    UnknownField {
        /// The name as written.
        name: String,
        /// "did you mean", or nothing.
        hint: String,
    },
    /// A function this language lacks.
    #[error("there is no function `{name}`{hint}")]
    UnknownFunction {
        /// The name as written.
        name: String,
        /// "did you mean", or nothing.
        hint: String,
    },
    /// A function with the wrong number of arguments.
    #[error("`{function}` takes {wanted}, not {found}")]
    Arguments {
        /// The function.
        function: String,
        /// How many it takes, in words.
        wanted: &'static str,
        /// How many were given.
        found: usize,
    },
    /// A value of the wrong type.
    #[error("{0}")]
    Type(String),
    /// Valid SQL that is no part of this language.
    #[error("{0}")]
    Unsupported(String),
    /// An expectation that says nothing or contradicts itself.
    #[error("{0}")]
    Rule(String),
}
