//! A tree as a list of nodes, and back.

use super::{CATEGORICAL, LEAF, Link, Rule, Tree, TreeBuilder};
use crate::Error;
use crate::parts::{self, Node};

impl Tree {
    /// The nodes, the root first.
    pub fn to_nodes(&self) -> Vec<Node> {
        let mut nodes = Vec::with_capacity(self.nodes.len() + self.n_leaves());
        // Where the number of a child is still to be written: of which node, and whether it is the left one.
        let mut pending = vec![(self.root, None)];
        while let Some((link, parent)) = pending.pop() {
            let number = nodes.len();
            if let Some((parent, is_left)) = parent
                && let Some(Node::Split { left, right, .. }) = nodes.get_mut::<usize>(parent)
            {
                *(if is_left { left } else { right }) = number;
            }
            if link & LEAF != 0 {
                let cover = self.covers[(link & !LEAF) as usize];
                nodes.push(Node::Leaf { cover, values: self.values(link).to_vec() });
                continue;
            }
            let node = &self.nodes[link as usize];
            let rule = match node.feature & CATEGORICAL {
                0 => parts::Rule::Threshold(node.threshold),
                _ => parts::Rule::Categories(self.sets[node.threshold as usize].iter().collect()),
            };
            let missing_left = node.missing_left;
            nodes.push(Node::Split { feature: node.feature(), rule, missing_left, left: 0, right: 0 });
            pending.push((node.children[1], Some((number, false))));
            pending.push((node.children[0], Some((number, true))));
        }
        nodes
    }

    /// A tree of nodes, the root first, each of which has one parent. Whether features and values are in range is not
    /// checked.
    pub(crate) fn from_nodes(width: usize, nodes: &[Node]) -> Result<Self, Error> {
        let wrong = |text: &str| Err(Error::Parts(text.to_owned()));
        if width == 0 || nodes.len() >= LEAF as usize {
            return wrong("a tree has no values or too many nodes");
        }
        let mut reached = vec![false; nodes.len()];
        let mut tree = TreeBuilder::new(width);
        let mut pending = vec![(0, Link::Root)];
        while let Some((number, at)) = pending.pop() {
            match reached.get_mut(number) {
                Some(reached) if !*reached => *reached = true,
                _ => return wrong("a tree has a split that points nowhere or to a node with another parent"),
            }
            match &nodes[number] {
                Node::Leaf { values, .. } if values.len() != width => {
                    return wrong("a tree's leaf has another number of values than the model answers");
                }
                Node::Leaf { cover, values } => tree.push_leaf(at, *cover, values.iter().copied()),
                // The highest bits mark what is not a number of a feature.
                Node::Split { feature, .. } if *feature >= CATEGORICAL as usize => {
                    return wrong("a tree has a split on a feature that there is not");
                }
                Node::Split { feature, rule, missing_left, left, right } => {
                    let rule = match rule {
                        parts::Rule::Threshold(threshold) => Rule::Threshold(*threshold),
                        parts::Rule::Categories(codes) => Rule::Categories(codes.iter().copied().collect()),
                    };
                    let (at_left, at_right) = tree.push_split(at, *feature, rule, *missing_left);
                    pending.push((*right, at_right));
                    pending.push((*left, at_left));
                }
            }
        }
        if reached.contains(&false) { wrong("a tree has a node that no way leads to") } else { Ok(tree.finish()) }
    }
}
