//! Columns of the inputs, and the steps that were taken on them.

use std::rc::Rc;

use super::operators::Problem;
use crate::limits::Budget;

/// The most features a model may have.
pub(super) const MAX_FEATURES: usize = 1 << 20;
/// The most steps on one column.
const MAX_STEPS: usize = 32;
/// What a column takes without its steps, in words of 8 bytes, for the budget.
pub(super) const WORDS: usize = 5;
/// What a step takes.
const STEP_WORDS: usize = 3;

/// What is done to a value. All of it keeps the order of values or turns it round, so what was `x ≤ t` becomes a threshold
/// on the input again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    /// Rounded to a 32-bit float.
    Round,
    /// Takes the place of a missing value.
    Fill(f64),
    /// Takes the place of any value.
    Fix(f64),
    Add(f64),
    Subtract(f64),
    Multiply(f64),
    Divide(f64),
}

/// A step, and whether it is computed in 32-bit floats.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Taken {
    step: Step,
    single: bool,
}

/// One column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// Number of the feature.
    pub feature: usize,
    steps: Rc<[Taken]>,
}

/// Columns side by side.
#[derive(Clone)]
pub(super) struct Columns {
    pub columns: Vec<Column>,
    /// Whether they are of 32-bit floats.
    pub single: bool,
}

impl Columns {
    pub fn of_input(first: usize, width: usize, single: bool) -> Self {
        // What is asked in 64 bits is rounded by those who ask.
        let steps: Rc<[Taken]> = if single { Rc::new([Taken { step: Step::Round, single }]) } else { Rc::new([]) };
        let columns = (first..first + width).map(|feature| Column { feature, steps: Rc::clone(&steps) }).collect();
        Self { columns, single }
    }

    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// How much there is of them, for the budget.
    pub fn size(&self) -> usize {
        self.columns.iter().map(Column::size).sum()
    }

    /// The columns of these numbers, any of them several times.
    pub fn select(&self, places: &[usize], budget: &Budget) -> Result<Self, Problem> {
        budget.spend(places.iter().map(|&place| self.columns[place].size()).sum())?;
        Ok(Self { columns: places.iter().map(|&place| self.columns[place].clone()).collect(), single: self.single })
    }

    /// Takes a step on every column, each with its value.
    pub fn step(&self, values: &[f64], step: impl Fn(f64) -> Step, budget: &Budget) -> Result<Self, Problem> {
        // Steps are the column's own: all of them are copied.
        budget.spend(self.size() + self.width() * STEP_WORDS)?;
        let of_column = |(column, &value): (&Column, &f64)| column.with(step(value), self.single);
        let columns = self.columns.iter().zip(values).map(of_column).collect::<Result<_, _>>()?;
        Ok(Self { columns, single: self.single })
    }

    /// The same values in another type.
    pub fn cast(&self, single: bool, budget: &Budget) -> Result<Self, Problem> {
        if single && !self.single {
            let rounded = self.step(&vec![0.0; self.width()], |_| Step::Round, budget)?;
            return Ok(Self { single, ..rounded });
        }
        budget.spend(self.size())?;
        Ok(Self { single, ..self.clone() })
    }
}

impl Column {
    fn size(&self) -> usize {
        WORDS + STEP_WORDS * self.steps.len()
    }

    fn with(&self, step: Step, single: bool) -> Result<Self, String> {
        if self.steps.len() >= MAX_STEPS {
            return Err(format!("more than {MAX_STEPS} steps are taken on a column"));
        }
        let value = match step {
            Step::Round => 0.0,
            Step::Fill(value) | Step::Fix(value) | Step::Add(value) | Step::Subtract(value) => value,
            Step::Multiply(value) => value,
            Step::Divide(value) => value.recip(),
        };
        if !value.is_finite() {
            return Err("it has a constant that is not finite, or divides by 0".to_owned());
        }
        let steps = self.steps.iter().copied().chain([Taken { step, single }]).collect();
        Ok(Self { feature: self.feature, steps })
    }

    /// What becomes of an input's value, `NaN` being a missing one.
    pub fn value(&self, input: f64) -> f64 {
        let round = |value: f64| f64::from(value as f32);
        self.steps.iter().fold(input, |value, taken| {
            // The sum or product of 32-bit floats is exact enough in 64 bits to be rounded once more.
            let keep = if taken.single { round } else { |value| value };
            match taken.step {
                Step::Round => round(value),
                Step::Fill(fill) if value.is_nan() => keep(fill),
                Step::Fill(_) => value,
                Step::Fix(fixed) => keep(fixed),
                Step::Add(by) => keep(value + keep(by)),
                Step::Subtract(by) => keep(value - keep(by)),
                Step::Multiply(by) => keep(value * keep(by)),
                Step::Divide(by) => keep(value / keep(by)),
            }
        })
    }

    /// Largest value to tell thresholds by: beyond it, 32-bit floats are infinite.
    pub fn limit(&self) -> f64 {
        match self.steps.first() {
            Some(Taken { step: Step::Round, .. }) => f64::from(f32::MAX),
            _ => f64::MAX,
        }
    }

    /// Whether it has whole numbers where the input has them, and only there (but for rounding).
    pub fn is_input(&self) -> bool {
        self.steps.iter().all(|taken| taken.step == Step::Round)
    }

    /// The same as a factor and a summand on the input, and what takes the place of a missing value there, if anything does.
    pub fn affine(&self) -> (f64, f64, Option<f64>) {
        let (mut factor, mut summand, mut fill) = (1.0, 0.0, None);
        for taken in &*self.steps {
            match taken.step {
                Step::Round => {}
                Step::Fill(value) if fill.is_none() && factor != 0.0 => fill = Some((value - summand) / factor),
                Step::Fill(_) => {}
                Step::Fix(value) => (factor, summand) = (0.0, value),
                Step::Add(by) => summand += by,
                Step::Subtract(by) => summand -= by,
                Step::Multiply(by) => (factor, summand) = (factor * by, summand * by),
                Step::Divide(by) => (factor, summand) = (factor / by, summand / by),
            }
        }
        (factor, summand, fill)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(single: bool, steps: &[Step]) -> Column {
        let column = Columns::of_input(0, 1, single).columns.remove(0);
        steps.iter().fold(column, |column, step| column.with(*step, single).unwrap())
    }

    #[test]
    fn steps_are_taken_in_order_and_in_their_precision() {
        let steps = [Step::Fill(3.0), Step::Subtract(1.0), Step::Multiply(0.1)];
        assert_eq!(column(false, &steps).value(f64::NAN), 0.2);
        assert_eq!(column(true, &steps).value(2.0), f64::from(0.1_f32));
        assert_eq!(column(true, &[]).value(0.1), f64::from(0.1_f32));
        assert_eq!(column(false, &[Step::Fix(7.0), Step::Divide(2.0)]).value(f64::INFINITY), 3.5);
    }

    #[test]
    fn steps_are_a_factor_and_a_summand() {
        let steps = [Step::Subtract(1.0), Step::Divide(2.0), Step::Fill(4.0), Step::Add(0.5)];
        assert_eq!(column(false, &steps).affine(), (0.5, 0.0, Some(9.0)));
    }

    #[test]
    fn endless_and_infinite_steps_are_refused() {
        let budget = Budget::new();
        let mut all = Columns::of_input(0, 1, false);
        assert!(all.step(&[0.0], Step::Divide, &budget).is_err());
        assert!(all.step(&[f64::NAN], Step::Add, &budget).is_err());
        for _ in 0..MAX_STEPS {
            all = all.step(&[1.0], Step::Add, &budget).ok().unwrap();
        }
        assert!(all.step(&[1.0], Step::Add, &budget).is_err());
    }
}
