//! What a model is about to answer: sums, and what was done to them.

use std::rc::Rc;

use super::columns::Column;
use super::trees::Ensemble;

/// What a sum and its output take, in words of 8 bytes, for the budget.
pub(super) const SUM_WORDS: usize = 12;

/// Where sums come from.
pub(super) struct Source {
    /// Columns of the rows that are summed.
    pub columns: Vec<Column>,
    pub kind: Kind,
}

pub(super) enum Kind {
    /// Leaves of trees, which name the sums they belong to.
    Trees(Ensemble),
    /// For each sum a coefficient per column.
    Weighted(Vec<Vec<f64>>),
    /// The same for all rows.
    Nothing,
}

/// A number of the answer: sums of the source times weights, and a summand.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Output {
    /// Number of the sum, and its weight.
    pub terms: Vec<(usize, f64)>,
    pub summand: f64,
}

/// What was done to the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing yet.
    Raw,
    /// The logistic function of each.
    Sigmoid,
    /// Of all together.
    Softmax,
}

#[derive(Clone)]
pub(super) struct Scores {
    pub source: Rc<Source>,
    pub outputs: Vec<Output>,
    pub stage: Stage,
    /// Whether they have been divided by their sum. That changes nothing of those that add up to 1, and nothing else is built;
    /// until it is known that they do, nothing more is done to them.
    pub normalised: bool,
    /// Names of the classes, once they are known.
    pub classes: Option<Rc<Vec<String>>>,
}

impl Scores {
    /// An output for each of the source's sums.
    pub fn new(source: Source, n_sums: usize) -> Self {
        let outputs = (0..n_sums).map(|sum| Output { terms: vec![(sum, 1.0)], summand: 0.0 }).collect();
        Self { source: Rc::new(source), outputs, stage: Stage::Raw, normalised: false, classes: None }
    }

    pub fn width(&self) -> usize {
        self.outputs.len()
    }

    /// How much there is of it, for the budget.
    pub fn size(&self) -> usize {
        self.outputs.iter().map(Output::size).sum()
    }

    /// Whether they are still sums, which can be added, multiplied and made probabilities.
    pub fn is_sum(&self) -> bool {
        self.stage == Stage::Raw && !self.normalised
    }

    pub fn at(mut self, stage: Stage) -> Self {
        self.stage = stage;
        self
    }

    pub fn map(&self, change: impl Fn(usize, &Output) -> Output) -> Self {
        let outputs = self.outputs.iter().enumerate().map(|(place, output)| change(place, output)).collect();
        Self { outputs, ..self.clone() }
    }

    /// Two outputs of one sum: what is against, and what is for the second class.
    pub fn for_and_against(&self) -> Option<Self> {
        let [output] = self.outputs.as_slice() else { return None };
        Some(Self { outputs: vec![output.times(-1.0), output.clone()], ..self.clone() })
    }
}

impl Output {
    /// In words of 8 bytes.
    pub fn size(&self) -> usize {
        4 + 2 * self.terms.len()
    }

    pub fn times(&self, factor: f64) -> Self {
        let terms = self.terms.iter().map(|(sum, weight)| (*sum, weight * factor)).collect();
        Self { terms, summand: self.summand * factor }
    }

    pub fn plus(&self, summand: f64) -> Self {
        Self { terms: self.terms.clone(), summand: self.summand + summand }
    }

    /// The sum of both, each of the source's sums named once.
    pub fn and(&self, other: &Self) -> Self {
        let mut terms: Vec<(usize, f64)> = self.terms.iter().chain(&other.terms).copied().collect();
        terms.sort_by_key(|(sum, _)| *sum);
        terms.dedup_by(|next, before| {
            let same = next.0 == before.0;
            if same {
                before.1 += next.1;
            }
            same
        });
        Self { terms, summand: self.summand + other.summand }
    }
}
