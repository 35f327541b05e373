//! Working memory of an evaluation, reused from call to call.

use crate::code::{Code, Index};
use crate::columns::Columns;
use crate::truth::Truth;

/// Registers and buffers. One belongs to one thread; after a few calls it has its final size and evaluating allocates
/// nothing. The same one serves any number of programs.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) numbers: Registers<f64>,
    pub(crate) integers: Registers<Option<i64>>,
    pub(crate) booleans: Registers<Truth>,
    pub(crate) texts: Registers<View>,
    /// Texts that were computed.
    pub(crate) arena: String,
    /// The text being computed.
    pub(crate) text: String,
    /// What is known of the images of the rows at hand.
    pub(crate) images: Vec<Decoded>,
    /// By condition, the rows that broke it.
    pub(crate) breaches: Vec<Vec<usize>>,
}

impl Scratch {
    /// Makes room for `code` over `rows` rows, and forgets earlier texts.
    pub(crate) fn prepare(&mut self, code: &Code, rows: usize) {
        let [booleans, integers, numbers, texts] = code.registers;
        self.booleans.prepare(booleans, rows, Truth::UNKNOWN);
        self.integers.prepare(integers, rows, None);
        self.numbers.prepare(numbers, rows, f64::NAN);
        self.texts.prepare(texts, rows, View::NULL);
        self.arena.clear();
        self.images.clear();
    }
}

/// The images of a field.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) field: u32,
    /// One a row of the chunk.
    pub(crate) images: Vec<Option<driftmill_vision::Statistics>>,
}

/// The registers of one type, one behind the other; each holds one value a row.
#[derive(Debug)]
pub(crate) struct Registers<T> {
    values: Vec<T>,
    rows: usize,
}

impl<T> Default for Registers<T> {
    fn default() -> Self {
        Self { values: Vec::new(), rows: 0 }
    }
}

impl<T: Copy> Registers<T> {
    fn prepare(&mut self, count: u32, rows: usize, null: T) {
        self.rows = rows;
        let needed = count as usize * rows;
        if self.values.len() < needed {
            self.values.resize(needed, null);
        }
    }

    pub(crate) fn get(&self, index: Index) -> &[T] {
        let start = index as usize * self.rows;
        &self.values[start..start + self.rows]
    }

    /// Register `index` to write to, and all before it to read from.
    pub(crate) fn split(&mut self, index: Index) -> (Before<'_, T>, &mut [T]) {
        let (before, rest) = self.values.split_at_mut(index as usize * self.rows);
        (Before { values: before, rows: self.rows }, &mut rest[..self.rows])
    }

    pub(crate) fn out(&mut self, index: Index) -> &mut [T] {
        self.split(index).1
    }
}

/// The registers before the one that is written: in single-assignment form, all that it can depend on.
pub(crate) struct Before<'a, T> {
    values: &'a [T],
    rows: usize,
}

impl<'a, T> Before<'a, T> {
    pub(crate) fn get(&self, index: Index) -> &'a [T] {
        let start = index as usize * self.rows;
        &self.values[start..start + self.rows]
    }
}

/// A text by reference: a piece of a column, of the literals or of the arena; or null.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    /// The field, or one of the markers below.
    pub(crate) buffer: u32,
    pub(crate) len: u32,
    pub(crate) start: usize,
}

const NULL: u32 = u32::MAX;
pub(crate) const LITERAL: u32 = u32::MAX - 1;
const COMPUTED: u32 = u32::MAX - 2;

/// The longest computed text, in bytes: what a Kafka message holds by default. A longer one is null.
const MAX_TEXT: usize = 1 << 20;

impl View {
    pub(crate) const NULL: Self = Self { buffer: NULL, len: 0, start: 0 };

    pub(crate) fn is_null(self) -> bool {
        self.buffer == NULL
    }
}

/// Where views point.
#[derive(Clone, Copy)]
pub(crate) struct Buffers<'a> {
    pub(crate) columns: &'a Columns,
    pub(crate) constants: &'a str,
    pub(crate) arena: &'a str,
}

impl<'a> Buffers<'a> {
    pub(crate) fn get(self, view: View) -> Option<&'a str> {
        let buffer = match view.buffer {
            NULL => return None,
            LITERAL => self.constants,
            COMPUTED => self.arena,
            field => self.columns.bytes(field as usize),
        };
        Some(&buffer[view.start..view.start + view.len as usize])
    }
}

/// Moves a computed text to the arena.
pub(crate) fn keep(text: &str, arena: &mut String) -> View {
    match u32::try_from(text.len()) {
        Ok(len) if text.len() <= MAX_TEXT => {
            let start = arena.len();
            arena.push_str(text);
            View { buffer: COMPUTED, len, start }
        }
        _ => View::NULL,
    }
}
