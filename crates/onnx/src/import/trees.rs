//! Trees of a `TreeEnsembleClassifier` or `TreeEnsembleRegressor`, and their thresholds on the inputs.

use std::collections::HashMap;

use driftmill_models::parts::{Node, Rule};

use super::attributes::Attributes;
use super::columns::Column;
use super::threshold::{Change, change};
use crate::Error;
use crate::limits::Budget;

/// What the operator asks at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Leaf,
    AtMost,
    Below,
    AtLeast,
    Above,
    Equal,
    Unequal,
}

#[derive(Clone, Debug)]
struct Found {
    mode: Mode,
    column: usize,
    value: f64,
    missing_yes: bool,
    yes: usize,
    no: usize,
    cover: f64,
}

/// The trees of one operator.
pub(super) struct Ensemble {
    nodes: Vec<Found>,
    /// Numbers of the roots, tree after tree.
    roots: Vec<usize>,
    /// Of each node that is a leaf the number of a sum and what is added to it, several times maybe.
    leaves: Vec<Vec<(usize, f64)>>,
}

/// A tree whose leaves are still the operator's: the numbers of its leaves stand where their values will.
pub(super) struct Shape(Vec<Node>);

/// The node of that number, whose child is still to be written.
#[derive(Clone, Copy)]
struct Parent {
    number: usize,
    is_left: bool,
}

impl Ensemble {
    /// Reads the attributes; those of leaves begin with `leaves` and their weights belong to sums below `n_sums`.
    pub fn read(attributes: &Attributes<'_>, leaves: &str, n_columns: usize, n_sums: usize) -> Result<Self, String> {
        let trees = attributes.integers("nodes_treeids");
        let numbers = attributes.integers("nodes_nodeids");
        let columns = attributes.integers("nodes_featureids");
        let modes = attributes.texts("nodes_modes");
        let values = attributes.numbers("nodes_values")?;
        let yes = attributes.integers("nodes_truenodeids");
        let no = attributes.integers("nodes_falsenodeids");
        let missing = attributes.integers("nodes_missing_value_tracks_true");
        let covers = attributes.numbers("nodes_hitrates")?;
        let count = trees.len();
        let lengths = [numbers.len(), columns.len(), modes.len(), values.len(), yes.len(), no.len()];
        if count == 0 || lengths.iter().any(|length| *length != count) {
            return Err("its attributes of nodes are missing or differ in length".to_owned());
        }

        let ids: HashMap<(i64, i64), usize> =
            trees.iter().zip(numbers).enumerate().map(|(place, (&tree, &number))| ((tree, number), place)).collect();
        if ids.len() != count {
            return Err("two nodes of a tree have the same number".to_owned());
        }
        let mut nodes = Vec::with_capacity(count);
        let mut is_child = vec![false; count];
        for place in 0..count {
            let mode = mode(&modes[place])?;
            let child = |number: i64| match (mode, ids.get(&(trees[place], number))) {
                (Mode::Leaf, _) => Ok(0),
                (_, Some(&child)) => Ok(child),
                (_, None) => Err(format!("node {} of tree {} has no child {number}", numbers[place], trees[place])),
            };
            let (yes, no) = (child(yes[place])?, child(no[place])?);
            if mode != Mode::Leaf {
                (is_child[yes], is_child[no]) = (true, true);
            }
            let column = usize::try_from(columns[place]).ok().filter(|column| *column < n_columns);
            let column = match (column, mode) {
                (Some(column), _) => column,
                (None, Mode::Leaf) => 0,
                (None, _) => return Err(format!("a split is on column {}, there are {n_columns}", columns[place])),
            };
            if values[place].is_nan() {
                return Err("a split compares with a value that is no number".to_owned());
            }
            let missing_yes = missing.get(place).is_some_and(|missing| *missing != 0);
            let cover = covers.get(place).copied().filter(|cover| *cover > 0.0 && cover.is_finite()).unwrap_or(1.0);
            nodes.push(Found { mode, column, value: values[place], missing_yes, yes, no, cover });
        }
        let roots: Vec<usize> = (0..count).filter(|&place| !is_child[place]).collect();
        let n_trees = trees.iter().collect::<std::collections::HashSet<_>>().len();
        if roots.len() != n_trees {
            return Err("a tree has no root, or several".to_owned());
        }
        let leaves = read_leaves(attributes, leaves, &ids, &nodes, n_sums)?;
        Ok(Self { nodes, roots, leaves })
    }

    /// Number of trees.
    pub fn len(&self) -> usize {
        self.roots.len()
    }

    /// Whether no leaf takes anything off a sum.
    pub fn is_positive(&self) -> bool {
        self.leaves.iter().flatten().all(|(_, weight)| *weight >= 0.0)
    }

    /// The only sum that leaves add to, if there is but one.
    pub fn only_sum(&self) -> Option<usize> {
        let mut sums = self.leaves.iter().flatten().map(|(sum, _)| *sum);
        let first = sums.next()?;
        sums.all(|sum| sum == first).then_some(first)
    }

    /// The trees with thresholds on the inputs, of which `columns` tell what became.
    pub fn shapes(&self, columns: &[Column], budget: &Budget) -> Result<Vec<Shape>, Error> {
        budget.spend(self.nodes.len())?;
        let mut reached = vec![false; self.nodes.len()];
        let of_root = |&root: &usize| self.shape(root, columns, &mut reached).map_err(Error::Unsupported);
        let shapes = self.roots.iter().map(of_root).collect::<Result<_, _>>()?;
        // Nodes in a circle have no root.
        match reached.contains(&false) {
            true => Err(Error::Unsupported("a tree has nodes that no way leads to".to_owned())),
            false => Ok(shapes),
        }
    }

    fn shape(&self, root: usize, columns: &[Column], reached: &mut [bool]) -> Result<Shape, String> {
        let mut nodes: Vec<Node> = Vec::new();
        let mut pending: Vec<(usize, Option<Parent>)> = vec![(root, None)];
        while let Some((place, parent)) = pending.pop() {
            if std::mem::replace(&mut reached[place], true) {
                return Err("a node of a tree has two parents".to_owned());
            }
            let number = nodes.len();
            if let Some(parent) = parent
                && let Some(Node::Split { left, right, .. }) = nodes.get_mut(parent.number)
            {
                *(if parent.is_left { left } else { right }) = number;
            }
            let found = &self.nodes[place];
            if found.mode == Mode::Leaf {
                nodes.push(Node::Leaf { cover: found.cover, values: vec![place as f64] });
                continue;
            }
            let column = &columns[found.column];
            let of_missing = column.value(f64::NAN);
            let missing_yes = found.mode.is_yes(of_missing, found.value) || of_missing.is_nan() && found.missing_yes;
            let (rule, missing_left, left, right) = match found.mode {
                Mode::Equal | Mode::Unequal => self.categories(found, column, missing_yes, reached)?,
                mode => match change(column.limit(), |input| mode.is_yes(column.value(input), found.value)) {
                    Change::AtOrBelow(threshold) => (Rule::Threshold(threshold), missing_yes, found.yes, found.no),
                    Change::Above(threshold) => (Rule::Threshold(threshold), !missing_yes, found.no, found.yes),
                },
            };
            nodes.push(Node::Split { feature: column.feature, rule, missing_left, left: 0, right: 0 });
            pending.push((right, Some(Parent { number, is_left: false })));
            pending.push((left, Some(Parent { number, is_left: true })));
        }
        Ok(Shape(nodes))
    }

    /// Comparisons with one value after another that lead to the same node are one set of categories.
    fn categories(
        &self,
        first: &Found,
        column: &Column,
        missing_yes: bool,
        reached: &mut [bool],
    ) -> Result<(Rule, bool, usize, usize), String> {
        let sides = |found: &Found| match found.mode {
            Mode::Equal => Some((found.yes, found.no)),
            Mode::Unequal => Some((found.no, found.yes)),
            _ => None,
        };
        if !column.is_input() || missing_yes == (first.mode == Mode::Equal) {
            return Err(
                "a tree compares for equality what was computed, or sends missing values along with a category; \
                        only categories as they are fed in can be imported"
                    .to_owned(),
            );
        }
        let code = |found: &Found| {
            let code = found.value as u8;
            let wrong = format!("a tree compares for equality with {}; only 0 to 255 can be", found.value);
            if f64::from(code) == found.value { Ok(code) } else { Err(wrong) }
        };
        let mut codes = vec![code(first)?];
        let Some((member, mut other)) = sides(first) else {
            return Err("a tree has a comparison that is not known".to_owned());
        };
        loop {
            let next = &self.nodes[other];
            let same = next.column == first.column
                && sides(next).is_some_and(|(next_member, _)| next_member == member)
                && (next.mode == Mode::Unequal || !next.missing_yes);
            let Some((_, next_other)) = sides(next).filter(|_| same && next.mode == first.mode) else { break };
            if std::mem::replace(&mut reached[other], true) {
                return Err("a node of a tree has two parents".to_owned());
            }
            codes.push(code(next)?);
            other = next_other;
        }
        Ok((Rule::Categories(codes), false, member, other))
    }

    /// A tree whose leaves have the values that `write` makes of what they add to the sums.
    pub fn fill(&self, shape: &Shape, width: usize, write: impl Fn(&[(usize, f64)], &mut [f64])) -> Vec<Node> {
        let of_node = |node: &Node| match node {
            Node::Leaf { cover, values } => {
                let mut filled = vec![0.0; width];
                // The place of the leaf is a whole number that was put there above.
                write(values.first().map_or(&[], |place| &self.leaves[*place as usize]), &mut filled);
                Node::Leaf { cover: *cover, values: filled }
            }
            split => split.clone(),
        };
        shape.0.iter().map(of_node).collect()
    }
}

impl Shape {
    /// Number of its nodes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The numbers of the sums that its leaves add to.
    pub fn adds_to(&self, ensemble: &Ensemble, sum: usize) -> bool {
        self.0.iter().any(|node| match node {
            Node::Leaf { values, .. } => {
                values.first().is_some_and(|place| ensemble.leaves[*place as usize].iter().any(|(of, _)| *of == sum))
            }
            Node::Split { .. } => false,
        })
    }
}

impl Mode {
    fn is_yes(self, value: f64, with: f64) -> bool {
        match self {
            Self::AtMost => value <= with,
            Self::Below => value < with,
            Self::AtLeast => value >= with,
            Self::Above => value > with,
            Self::Equal => value == with,
            Self::Unequal => value != with,
            Self::Leaf => false,
        }
    }
}

fn mode(name: &[u8]) -> Result<Mode, String> {
    Ok(match name {
        b"LEAF" => Mode::Leaf,
        b"BRANCH_LEQ" => Mode::AtMost,
        b"BRANCH_LT" => Mode::Below,
        b"BRANCH_GTE" => Mode::AtLeast,
        b"BRANCH_GT" => Mode::Above,
        b"BRANCH_EQ" => Mode::Equal,
        b"BRANCH_NEQ" => Mode::Unequal,
        other => return Err(format!("it has nodes of the mode `{}`", String::from_utf8_lossy(other))),
    })
}

fn read_leaves(
    attributes: &Attributes<'_>,
    prefix: &str,
    ids: &HashMap<(i64, i64), usize>,
    nodes: &[Found],
    n_sums: usize,
) -> Result<Vec<Vec<(usize, f64)>>, String> {
    let trees = attributes.integers(&format!("{prefix}_treeids"));
    let numbers = attributes.integers(&format!("{prefix}_nodeids"));
    let sums = attributes.integers(&format!("{prefix}_ids"));
    let weights = attributes.numbers(&format!("{prefix}_weights"))?;
    if [numbers.len(), sums.len(), weights.len()].iter().any(|length| *length != trees.len()) {
        return Err("its attributes of leaves differ in length".to_owned());
    }
    let mut leaves = vec![Vec::new(); nodes.len()];
    for (((tree, number), sum), weight) in trees.iter().zip(numbers).zip(sums).zip(weights) {
        let place = ids.get(&(*tree, *number)).copied().filter(|place| nodes[*place].mode == Mode::Leaf);
        let sum = usize::try_from(*sum).ok().filter(|sum| *sum < n_sums);
        let (Some(place), Some(sum)) = (place, sum) else {
            return Err(format!(
                "a weight belongs to node {number} of tree {tree}, which is no leaf or has no such class"
            ));
        };
        if !weight.is_finite() {
            return Err("a leaf has a weight that is not finite".to_owned());
        }
        leaves[place].push((sum, weight));
    }
    Ok(leaves)
}
