//! Fitted models as plain parts, for exchange with other formats: taken apart as they are, put together with everything
//! checked.

#[cfg(test)]
mod tests;

use crate::boosting::GradientBoosting;
use crate::constant::Constant;
use crate::forest::RandomForest;
use crate::linear::LinearRegression;
use crate::linfa_tree::DecisionTree;
use crate::logistic::LogisticRegression;
use crate::preparation::Preparation;
use crate::scores::Scores;
use crate::tree::Tree;
use crate::{Error, Model, Task};

/// A model of any algorithm.
#[derive(Clone, Debug, PartialEq)]
pub enum Parts {
    /// The same outputs for every row.
    Constant {
        /// Number of features a row has.
        n_features: usize,
        /// What it answers.
        task: Task,
        /// The class frequencies, or the mean.
        outputs: Vec<f64>,
    },
    /// A single tree of classes.
    DecisionTree {
        /// Number of features a row has.
        n_features: usize,
        /// Number of classes: values of a leaf.
        n_classes: usize,
        /// Its nodes, the root first.
        tree: Vec<Node>,
    },
    /// Trees whose leaves are averaged.
    RandomForest {
        /// Number of features a row has.
        n_features: usize,
        /// What it answers.
        task: Task,
        /// Each tree's nodes, the root first; leaves hold class frequencies, or the mean.
        trees: Vec<Vec<Node>>,
    },
    /// Trees whose leaves are added up, then turned into probabilities by the logistic function (two classes, one score) or
    /// softmax.
    GradientBoosting {
        /// Number of features a row has.
        n_features: usize,
        /// What it answers.
        task: Task,
        /// Each score without the trees.
        baseline: Vec<f64>,
        /// Round after round, one tree per score; leaves hold one value.
        trees: Vec<Vec<Node>>,
    },
    /// Weighted sums, turned into probabilities in the same way.
    LogisticRegression {
        /// Number of classes.
        n_classes: usize,
        /// One sum for two classes, one per class otherwise.
        sums: WeightedSums,
    },
    /// A weighted sum.
    LinearRegression {
        /// One sum.
        sums: WeightedSums,
    },
}

/// Weighted sums of prepared columns: a column's value `x` counts as (`x` or fill - shift) × scale, where fill takes the
/// place of a value that is missing or infinite. A column of scale 0 is 0 whatever its value.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightedSums {
    /// One value per column.
    pub fill: Vec<f64>,
    /// One value per column.
    pub shift: Vec<f64>,
    /// One value per column.
    pub scale: Vec<f64>,
    /// For each sum a coefficient per column.
    pub coefficients: Vec<Vec<f64>>,
    /// One for each sum.
    pub intercepts: Vec<f64>,
}

/// A node of a tree.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// Rows part here.
    Split {
        /// Whose value decides.
        feature: usize,
        /// Which rows go left.
        rule: Rule,
        /// Whether rows without a value go left.
        missing_left: bool,
        /// Number of the left child.
        left: usize,
        /// Number of the right child.
        right: usize,
    },
    /// The end of a way down.
    Leaf {
        /// The weight of the training rows that came here, above 0.
        cover: f64,
        /// What it answers.
        values: Vec<f64>,
    },
}

/// Which rows go left.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// Those at or below it.
    Threshold(f64),
    /// Those whose code of a category is one of these; when missing values go left, those whose code is not. A value that
    /// is no code, 0 to 255, counts as missing.
    Categories(Vec<u8>),
}

/// How a feature becomes columns of a model's rows.
#[derive(Clone, Debug, PartialEq)]
pub enum FeatureColumns<'a> {
    /// One column: the number itself.
    Number,
    /// One column: the category's code.
    Codes(Codes<'a>),
    /// A column for each code, 1 where the row's category has it, otherwise 0. All are missing where the category is.
    OneHot(Codes<'a>),
    /// None: texts and images.
    Ignored,
}

/// The codes of a feature's categories. A category without one counts as missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes<'a> {
    /// Ascending by text; the codes are 0 to their number - 1.
    pub known: Vec<(&'a str, u8)>,
    /// Whether the code after those stands for all other categories.
    pub others: bool,
}

impl Model {
    /// Takes the model apart.
    pub fn to_parts(&self) -> Parts {
        let (n_features, task) = (self.n_features(), self.task());
        let nodes = |trees: &[Tree]| trees.iter().map(Tree::to_nodes).collect();
        match self {
            Self::Constant(model) => Parts::Constant { n_features, task, outputs: model.outputs().to_vec() },
            Self::DecisionTree(model) => {
                Parts::DecisionTree { n_features, n_classes: task.n_outputs(), tree: model.tree().to_nodes() }
            }
            Self::RandomForest(model) => Parts::RandomForest { n_features, task, trees: nodes(model.trees()) },
            Self::GradientBoosting(model) => {
                let baseline = model.baseline().to_vec();
                Parts::GradientBoosting { n_features, task, baseline, trees: nodes(model.trees()) }
            }
            Self::LogisticRegression(model) => {
                let (preparation, scores) = model.parts();
                let coefficients = (0..scores.len()).map(|score| scores.coefficients(score)).collect();
                let sums = WeightedSums::new(preparation, coefficients, scores.intercepts().to_vec());
                Parts::LogisticRegression { n_classes: task.n_outputs(), sums }
            }
            Self::LinearRegression(model) => {
                let (preparation, coefficients, mean) = model.parts();
                let sums = WeightedSums::new(Some(preparation), vec![coefficients.to_vec()], vec![mean]);
                Parts::LinearRegression { sums }
            }
        }
    }

    /// Puts a model together. What only a fit knows, such as residuals, it does not have.
    ///
    /// # Errors
    /// [`Error::Parts`] unless the result is safe to predict with.
    pub fn from_parts(parts: Parts) -> Result<Self, Error> {
        let model = match parts {
            Parts::Constant { n_features, task, outputs } => {
                Self::Constant(Constant::from_parts(n_features, task, outputs))
            }
            Parts::DecisionTree { n_features, n_classes, tree } => {
                Self::DecisionTree(DecisionTree::from_parts(n_features, n_classes, Tree::from_nodes(n_classes, &tree)?))
            }
            Parts::RandomForest { n_features, task, trees } => {
                let trees = of_nodes(task.n_outputs(), &trees)?;
                Self::RandomForest(RandomForest::from_parts(n_features, task, trees))
            }
            Parts::GradientBoosting { n_features, task, baseline, trees } => {
                let trees = of_nodes(1, &trees)?;
                Self::GradientBoosting(GradientBoosting::from_parts(n_features, task, baseline, trees))
            }
            Parts::LogisticRegression { n_classes, sums } => {
                let (preparation, sums) = sums.checked()?;
                let scores = Scores::new(preparation.width(), &sums);
                Self::LogisticRegression(LogisticRegression::from_parts(n_classes, preparation, scores))
            }
            Parts::LinearRegression { sums } => {
                let (preparation, mut sums) = sums.checked()?;
                let (Some((coefficients, intercept)), true) = (sums.pop(), sums.is_empty()) else {
                    return Err(Error::Parts("a linear regression has one weighted sum".to_owned()));
                };
                Self::LinearRegression(LinearRegression::from_parts(preparation, coefficients, intercept))
            }
        };
        model.validate().map_err(Error::Parts)?;
        Ok(model)
    }
}

/// Coefficients and an intercept.
type Sum = (Vec<f64>, f64);

fn of_nodes(width: usize, trees: &[Vec<Node>]) -> Result<Vec<Tree>, Error> {
    trees.iter().map(|nodes| Tree::from_nodes(width, nodes)).collect()
}

impl WeightedSums {
    /// A model without preparation takes a value that is missing as 0.
    fn new(preparation: Option<&Preparation>, coefficients: Vec<Vec<f64>>, intercepts: Vec<f64>) -> Self {
        let width = coefficients.first().map_or(0, Vec::len);
        let (fill, shift, scale) = match preparation {
            Some(preparation) => {
                (preparation.fill().to_vec(), preparation.shift().to_vec(), preparation.scale().to_vec())
            }
            None => (vec![0.0; width], vec![0.0; width], vec![1.0; width]),
        };
        Self { fill, shift, scale, coefficients, intercepts }
    }

    /// The preparation, and each sum's coefficients and intercept, once they fit each other.
    fn checked(self) -> Result<(Preparation, Vec<Sum>), Error> {
        let width = self.fill.len();
        if self.coefficients.len() != self.intercepts.len() || self.coefficients.iter().any(|sum| sum.len() != width) {
            return Err(Error::Parts("the coefficients do not fit the columns or the intercepts".to_owned()));
        }
        let preparation = Preparation::from_parts(self.fill, self.shift, self.scale);
        preparation.validate(width).map_err(Error::Parts)?;
        Ok((preparation, self.coefficients.into_iter().zip(self.intercepts).collect()))
    }
}
