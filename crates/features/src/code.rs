//! What expressions compile to: steps over typed registers, in single-assignment form.

use regex::Regex;

/// A register's number within its bank.
pub(crate) type Index = u32;

/// The four kinds of registers. Timestamps are kept with the integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Bank {
    Boolean,
    Integer,
    Number,
    Text,
}

/// One register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Register {
    pub(crate) bank: Bank,
    pub(crate) index: Index,
}

/// One operation over all rows of a chunk; `out` is greater than the operands of the same bank.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) operation: Operation,
    pub(crate) out: Index,
}

/// Everything a step can do. Literals of numbers are kept as bits, so that equal operations can be found by hashing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Field(Bank, u32),
    Null(Bank),
    BooleanLiteral(bool),
    IntegerLiteral(i64),
    NumberLiteral(u64),
    /// A piece of [`Code::constants`].
    TextLiteral(Piece),

    NumberUnary(NumberUnary, Index),
    NumberBinary(Arithmetic, Index, Index),
    /// To so many decimal digits.
    Round(Index, i8),
    IntegerUnary(IntegerUnary, Index),
    IntegerBinary(Arithmetic, Index, Index),

    CompareBooleans(Comparison, Index, Index),
    CompareIntegers(Comparison, Index, Index),
    CompareNumbers(Comparison, Index, Index),
    CompareTexts(Comparison, Index, Index),
    And(Index, Index),
    Or(Index, Index),
    Not(Index),
    /// Never null: whether the operand is this truth value.
    Is(bool, Index),
    IsNull(Register),
    /// Whether the operand is in the set of that number.
    InIntegers(Index, u32),
    InNumbers(Index, u32),
    InTexts(Index, u32),

    /// The second where the first is true, the third elsewhere.
    Select(Bank, Index, Index, Index),
    /// The first where it is not null, the second elsewhere.
    Coalesce(Bank, Index, Index),

    BooleanToInteger(Index),
    IntegerToBoolean(Index),
    IntegerToNumber(Index),
    NumberToInteger(Index),
    TextToBoolean(Index),
    TextToInteger(Index),
    TextToNumber(Index),
    BooleanToText(Index),
    IntegerToText(Index),
    NumberToText(Index),
    TimestampToText(Index),

    Extract(Part, Index),

    Lower(Index),
    Upper(Index),
    Length(Index),
    /// Takes the characters of the literal off the given ends.
    Trim(Ends, Index, Piece),
    Concat(Index, Index),
    /// From this position, counted from 1, to the end.
    From(Index, Index),
    /// From this position so many characters.
    Substring(Index, Index, Index),
    /// Whether the pattern of that number is found.
    Matches(Index, u32),

    /// What is told of the image in a field.
    ImageNumber(ImageStatistic, u32),
    /// Its colour mode.
    ImageMode(u32),
}

/// A piece of a text buffer, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Piece {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Piece {
    pub(crate) fn of(self, buffer: &str) -> &str {
        &buffer[self.start as usize..(self.start + self.len) as usize]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum NumberUnary {
    Negate,
    Abs,
    Sign,
    Sqrt,
    Ln,
    Log10,
    Exp,
    Floor,
    Ceil,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum IntegerUnary {
    Negate,
    Abs,
    Sign,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    /// Numbers only.
    Divide,
    Remainder,
    /// Numbers only.
    Power,
    Least,
    Greatest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A part of a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    Year,
    Month,
    Day,
    /// From Sunday = 0.
    DayOfWeek,
    Hour,
    Minute,
    /// Seconds since 1970, a number.
    Epoch,
}

/// A number that is told of an image. Channels are 0 red, 1 green, 2 blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ImageStatistic {
    Width,
    Height,
    AspectRatio,
    Mean(u8),
    Std(u8),
    Contrast,
    Sharpness,
    UsefulSurface,
}

/// The ends of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Ends {
    Both,
    Start,
    End,
}

/// Compiled expressions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Code {
    pub(crate) steps: Vec<Step>,
    /// Registers by bank, in the order of [`Bank`].
    pub(crate) registers: [u32; 4],
    /// Literal texts, one after the other.
    pub(crate) constants: String,
    pub(crate) patterns: Vec<Regex>,
    /// Literal lists, sorted.
    pub(crate) integer_sets: Vec<Vec<i64>>,
    pub(crate) number_sets: Vec<Vec<f64>>,
    pub(crate) text_sets: Vec<Vec<Box<str>>>,
    /// Fields the expressions use, ascending.
    pub(crate) inputs: Vec<usize>,
    /// Fingerprint of the schema the expressions were compiled for.
    pub(crate) schema: u64,
}
