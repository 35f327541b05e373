//! Features: a compiled set of named numeric expressions.

use std::sync::Arc;

use driftmill_schemas::pipeline::Feature;
use driftmill_schemas::record::RecordSchema;

use crate::code::{Code, Index};
use crate::columns::Columns;
use crate::compile::Compiler;
use crate::{Error, FeatureMatrix, Scratch, evaluate};

/// The features of a pipeline, compiled. Immutable and shared between threads; each thread brings a [`Scratch`].
#[derive(Debug, Clone)]
pub struct Program {
    names: Arc<[String]>,
    code: Code,
    /// The number register of each feature.
    outputs: Vec<Index>,
}

impl Program {
    /// Compiles `features` for records of `schema`; an error comes with the index of the feature at fault.
    pub fn compile(schema: &RecordSchema, features: &[Feature]) -> Result<Self, Vec<(usize, Error)>> {
        let mut compiler = Compiler::new(schema);
        let mut outputs = Vec::with_capacity(features.len());
        let mut errors = Vec::new();
        for (index, feature) in features.iter().enumerate() {
            // A name alone is a field even where SQL would read it as a keyword.
            let compiled = match &feature.sql {
                Some(sql) => compiler.feature(sql),
                None => compiler.field_feature(&feature.name),
            };
            match compiled {
                Ok(register) => outputs.push(register),
                Err(error) => errors.push((index, error)),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let names = features.iter().map(|feature| feature.name.clone()).collect();
        Ok(Self { names, code: compiler.finish(), outputs })
    }

    /// The features' names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Number of features.
    pub fn width(&self) -> usize {
        self.names.len()
    }

    /// Indices of the record fields that the expressions use, ascending: what a request must carry.
    pub fn inputs(&self) -> &[usize] {
        &self.code.inputs
    }

    /// Evaluates every feature of every row. One row and a thousand run the same loops; the bits of a value depend on
    /// its row alone.
    ///
    /// # Panics
    /// If `columns` was made for another schema than the program.
    pub fn evaluate(&self, columns: &Columns, scratch: &mut Scratch, out: &mut FeatureMatrix) {
        out.reshape(&self.names, columns.rows());
        evaluate::chunks(&self.code, columns, scratch, |rows, scratch| {
            for (column, &register) in self.outputs.iter().enumerate() {
                let values = scratch.numbers.get(register);
                for (to, &from) in out.column_mut(column)[rows.clone()].iter_mut().zip(values) {
                    // A NaN's sign and payload depend on how it came about.
                    *to = if from.is_nan() { f64::NAN } else { from };
                }
            }
        });
    }
}
