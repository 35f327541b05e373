//! Functions of encoded images.

use driftmill_schemas::record::FieldKind;
use sqlparser::ast::Expr;

use super::Compiler;
use super::types::{Type, Typed};
use crate::Error;
use crate::code::{ImageStatistic, Operation};

/// The functions, with what they tell; that of the mode gives a text.
const FUNCTIONS: [(&str, Option<ImageStatistic>); 13] = [
    ("image_width", Some(ImageStatistic::Width)),
    ("image_height", Some(ImageStatistic::Height)),
    ("image_aspect_ratio", Some(ImageStatistic::AspectRatio)),
    ("image_mode", None),
    ("image_mean_red", Some(ImageStatistic::Mean(0))),
    ("image_mean_green", Some(ImageStatistic::Mean(1))),
    ("image_mean_blue", Some(ImageStatistic::Mean(2))),
    ("image_std_red", Some(ImageStatistic::Std(0))),
    ("image_std_green", Some(ImageStatistic::Std(1))),
    ("image_std_blue", Some(ImageStatistic::Std(2))),
    ("image_contrast", Some(ImageStatistic::Contrast)),
    ("image_sharpness", Some(ImageStatistic::Sharpness)),
    ("image_useful_surface", Some(ImageStatistic::UsefulSurface)),
];

/// Names of the functions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(name, _)| *name)
}

impl Compiler<'_> {
    /// The call of such a function; `None` when `name` is another's.
    pub(super) fn image_call(&mut self, name: &str, arguments: &[&Expr]) -> Option<Result<Typed, Error>> {
        let (_, statistic) = FUNCTIONS.iter().find(|(known, _)| *known == name)?;
        let [Expr::Identifier(field)] = arguments else {
            let upper = name.to_uppercase();
            return Some(Err(Error::Type(format!(
                "{upper} takes the name of one field, which holds an image's bytes"
            ))));
        };
        let field = match self.image_field(&field.value) {
            Ok(field) => field,
            Err(error) => return Some(Err(error)),
        };
        Some(Ok(match statistic {
            Some(statistic) => self.emit(Operation::ImageNumber(*statistic, field), Type::Number),
            None => self.emit(Operation::ImageMode(field), Type::Text),
        }))
    }

    /// The number of a field of bytes, which is an input from now on.
    pub(super) fn image_field(&mut self, name: &str) -> Result<u32, Error> {
        let index = self.known_field(name)?;
        if self.schema.fields[index].kind != FieldKind::Bytes {
            let found = self.schema.fields[index].kind.title();
            return Err(Error::Type(format!("an image is a field of bytes, and `{name}` is of type {found}")));
        }
        self.inputs.insert(index);
        Ok(index as u32)
    }
}
