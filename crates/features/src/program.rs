//! Features: a compiled set of named expressions and images.

use std::sync::Arc;

use driftmill_schemas::pipeline::{Feature, FeatureType};
use driftmill_schemas::record::RecordSchema;

use crate::code::{Code, Index};
use crate::columns::Columns;
use crate::compile::Compiler;
use crate::scratch::Buffers;
use crate::{Error, FeatureMatrix, Scratch, evaluate};

/// The features of a pipeline, compiled. Immutable and shared between threads; each thread brings a [`Scratch`].
#[derive(Debug, Clone)]
pub struct Program {
    names: Arc<[String]>,
    kinds: Arc<[FeatureType]>,
    code: Code,
    outputs: Vec<Output>,
}

/// Where a feature's values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// A register of numbers.
    Number(Index),
    /// A register of texts.
    Text(Index),
    /// A field with encoded images.
    Image { field: u32, side: u16 },
}

impl Program {
    /// Compiles `features` for records of `schema`; an error comes with the index of the feature at fault.
    pub fn compile(schema: &RecordSchema, features: &[Feature]) -> Result<Self, Vec<(usize, Error)>> {
        let mut compiler = Compiler::new(schema);
        let mut outputs = Vec::with_capacity(features.len());
        let mut errors = Vec::new();
        for (index, feature) in features.iter().enumerate() {
            match compiler.feature(feature) {
                Ok(output) => outputs.push(output),
                Err(error) => errors.push((index, error)),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let names = features.iter().map(|feature| feature.name.clone()).collect();
        let kinds = features.iter().map(|feature| feature.kind).collect();
        Ok(Self { names, kinds, code: compiler.finish(), outputs })
    }

    /// The features' names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// What their values are.
    pub fn kinds(&self) -> &[FeatureType] {
        &self.kinds
    }

    /// Number of features.
    pub fn width(&self) -> usize {
        self.names.len()
    }

    /// Indices of the record fields that the features use, ascending: what a request must carry.
    pub fn inputs(&self) -> &[usize] {
        &self.code.inputs
    }

    /// Evaluates every feature of every row. One row and a thousand run the same loops; the bits of a value depend on
    /// its row alone.
    ///
    /// # Panics
    /// If `columns` was made for another schema than the program.
    pub fn evaluate(&self, columns: &Columns, scratch: &mut Scratch, out: &mut FeatureMatrix) {
        out.reshape(&self.names, &self.kinds, columns.rows());
        evaluate::chunks(&self.code, columns, scratch, |rows, scratch| {
            for (column, output) in self.outputs.iter().enumerate() {
                match *output {
                    Output::Number(register) => {
                        let values = scratch.numbers.get(register);
                        for (to, &from) in out.column_mut(column)[rows.clone()].iter_mut().zip(values) {
                            // A NaN's sign and payload depend on how it came about.
                            *to = if from.is_nan() { f64::NAN } else { from };
                        }
                    }
                    Output::Text(register) => {
                        let buffers = Buffers { columns, constants: &self.code.constants, arena: &scratch.arena };
                        let views = scratch.texts.get(register).iter();
                        out.texts_mut(column).extend(views.map(|view| buffers.get(*view).map(Arc::from)));
                    }
                    Output::Image { field, side } => {
                        for (row, encoded) in rows.clone().zip(&columns.encoded(field as usize)[rows.clone()]) {
                            let pixels = encoded.as_deref().map(|encoded| driftmill_vision::pixels(encoded, side));
                            match pixels.transpose() {
                                Ok(pixels) => out.images_mut(column).push(pixels.map(Arc::from)),
                                Err(error) => {
                                    out.images_mut(column).push(None);
                                    out.fault(row, column, error.to_string());
                                }
                            }
                        }
                    }
                }
            }
        });
    }
}
