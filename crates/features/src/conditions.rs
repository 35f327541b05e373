//! Expectations: a compiled set of boolean expressions. Those that say nothing of a record by itself have no breach here.

use driftmill_schemas::pipeline::Expectation;
use driftmill_schemas::record::RecordSchema;

use crate::code::{Code, Index};
use crate::columns::Columns;
use crate::compile::Compiler;
use crate::truth::Truth;
use crate::{Error, Scratch, evaluate};

/// The expectations of a pipeline, compiled. Immutable and shared between threads; each thread brings a [`Scratch`].
#[derive(Debug, Clone)]
pub struct Conditions {
    code: Code,
    /// The boolean register of each expectation that is a condition.
    outputs: Vec<Option<Index>>,
}

impl Conditions {
    /// Compiles `expectations` for records of `schema`; an error comes with the index of the expectation at fault.
    pub fn compile(schema: &RecordSchema, expectations: &[Expectation]) -> Result<Self, Vec<(usize, Error)>> {
        let mut compiler = Compiler::new(schema);
        let mut outputs = Vec::with_capacity(expectations.len());
        let mut errors = Vec::new();
        for (index, expectation) in expectations.iter().enumerate() {
            let compiled = expectation.rule().map_err(Error::Rule).and_then(|rule| {
                let Some(sql) = rule.condition() else { return Ok(None) };
                // Said of the field, and not of the SQL made from it.
                if let Some(field) = &expectation.field {
                    compiler.known_field(field)?;
                }
                compiler.condition(&sql).map(Some)
            });
            match compiled {
                Ok(register) => outputs.push(register),
                Err(error) => errors.push((index, error)),
            }
        }
        if errors.is_empty() { Ok(Self { code: compiler.finish(), outputs }) } else { Err(errors) }
    }

    /// Number of expectations.
    pub fn len(&self) -> usize {
        self.outputs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }

    /// Indices of the record fields that the conditions use, ascending.
    pub fn inputs(&self) -> &[usize] {
        &self.code.inputs
    }

    /// For each expectation, in order, the rows where it is false, ascending. As in SQL's `CHECK`, null passes.
    ///
    /// # Panics
    /// If `columns` was made for another schema than the conditions.
    pub fn evaluate<'s>(&self, columns: &Columns, scratch: &'s mut Scratch) -> &'s [Vec<usize>] {
        let mut breaches = std::mem::take(&mut scratch.breaches);
        breaches.iter_mut().for_each(Vec::clear);
        if breaches.len() < self.outputs.len() {
            breaches.resize_with(self.outputs.len(), Vec::new);
        }
        evaluate::chunks(&self.code, columns, scratch, |rows, scratch| {
            for (rows_at_fault, &register) in breaches.iter_mut().zip(&self.outputs) {
                let Some(register) = register else { continue };
                let truths = scratch.booleans.get(register).iter();
                let at_fault = rows.clone().zip(truths).filter(|(_, truth)| **truth == Truth::FALSE);
                rows_at_fault.extend(at_fault.map(|(row, _)| row));
            }
        });
        scratch.breaches = breaches;
        &scratch.breaches[..self.outputs.len()]
    }
}
