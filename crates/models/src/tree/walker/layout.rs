//! Lays trees out as nodes of eight bytes.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use super::ranks::{Ranks, ZERO};
use super::{Node, Walker};
use crate::category::Set;
use crate::parallel;
use crate::tree::{CATEGORICAL, LEAF, Tree};

/// Bytes of a line of the cache, and the pairs of nodes in one.
const LINE: usize = 64;
const PAIRS: usize = LINE / (2 * size_of::<Node>());
/// Splits from which threads share the work: fewer take no longer than the threads' start.
const SHARED_SPLITS: usize = 20_000;
/// The most different leaves that are looked for.
const DIFFERENT: usize = 4096;
/// The most pairs of leaves that are kept once: they are to stay in the first cache.
const SHARED_PAIRS: usize = 1024;

impl Walker {
    /// `None` where the trees cannot be laid out so, or to find a row's ranks would take longer than to walk it.
    pub fn new(trees: &[Tree]) -> Option<Self> {
        let splits: usize = trees.iter().map(Tree::n_splits).sum();
        let threads = if splits < SHARED_SPLITS { 1 } else { parallel::threads(None) };
        let ranks = Ranks::new(trees, threads)?;
        let covers: Vec<Vec<f64>> = trees.iter().map(Tree::inner_covers).collect();
        if ranks.cost() > visits(trees, &covers) {
            return None;
        }
        let tests = parallel::map(trees.len(), threads, || (), |(), tree| ranks.tests(&trees[tree]));
        let mut layout = Layout::new(trees, ranks)?;
        let mut roots = Vec::with_capacity(trees.len());
        for ((tree, covers), tests) in trees.iter().zip(&covers).zip(&tests) {
            roots.push(layout.add(tree, covers, tests)?);
        }
        let Layout { ranks, nodes, sets, leaves, width, bits, .. } = layout;
        let first_category = ranks.first_category();
        let plain = sets.is_empty() && nodes.iter().all(|node| u32::from(node.column) >> bits == 0);
        let leaves = leaves.map(|leaves| leaves.values);
        Some(Self { ranks, nodes, roots, sets, leaves, width, bits, plain, first_category })
    }
}

/// The nodes that a training row came by, on average.
fn visits(trees: &[Tree], covers: &[Vec<f64>]) -> f64 {
    let of = |(tree, covers): (&Tree, &Vec<f64>)| covers.iter().sum::<f64>() / tree.cover(tree.root, covers);
    trees.iter().zip(covers).map(of).sum()
}

struct Layout {
    ranks: Ranks,
    nodes: Vec<Node>,
    /// Where the first line of the cache begins.
    start: usize,
    sets: Vec<[u64; 5]>,
    set_numbers: HashMap<[u64; 5], usize>,
    leaves: Option<Leaves>,
    width: usize,
    bits: u32,
    /// The tree that is being laid out.
    tree: usize,
    /// Where pairs of leaves are that were met before, by their numbers.
    pairs: HashMap<[usize; 2], u32>,
}

/// An inner node whose children have no place yet.
struct Open {
    cover: f64,
    /// Its own place.
    place: usize,
    children: [u32; 2],
}

impl Layout {
    fn new(trees: &[Tree], ranks: Ranks) -> Option<Self> {
        let leaves = Leaves::new(trees);
        // Every link takes a place, a root two.
        let most = trees.iter().map(|tree| 2 * tree.n_leaves()).sum::<usize>() + LINE;
        if most > u32::MAX as usize {
            return None;
        }
        // Lines begin where those of the cache do.
        let mut nodes: Vec<Node> = Vec::with_capacity(most);
        let start = nodes.as_ptr().align_offset(LINE).min(2 * PAIRS);
        nodes.resize(start, Node::default());
        let bits = ranks.len().next_power_of_two().ilog2();
        let width = trees.first().map_or(0, |tree| tree.width as usize);
        let (sets, set_numbers, pairs) = (Vec::new(), HashMap::new(), HashMap::new());
        Some(Self { ranks, nodes, start, sets, set_numbers, leaves, width, bits, tree: 0, pairs })
    }

    /// Lays out the next tree and returns the place of its root.
    fn add(&mut self, tree: &Tree, covers: &[f64], tests: &[(u16, u16)]) -> Option<u32> {
        let root = self.nodes.len();
        self.nodes.resize(root + 2, Node::default());
        let mut later: Vec<Open> = self.put(root, tree, tree.root, covers, tests)?.into_iter().collect();
        while let Some(open) = later.pop() {
            // A line is filled with those that most rows come to.
            let mut near = vec![open];
            let mut room = PAIRS - (self.nodes.len() - self.start) / 2 % PAIRS;
            while room > 0
                && let Some(most) = (0..near.len()).max_by(|&a, &b| near[a].cover.total_cmp(&near[b].cover))
            {
                let Open { place, children, .. } = near.swap_remove(most);
                if let Some(shared) = self.shared(children) {
                    self.nodes[place].child = shared;
                    continue;
                }
                let left = self.nodes.len();
                self.nodes.resize(left + 2, Node::default());
                self.nodes[place].child = left as u32;
                for (place, link) in (left..).zip(children) {
                    near.extend(self.put(place, tree, link, covers, tests)?);
                }
                room -= 1;
            }
            near.sort_unstable_by(|a, b| a.cover.total_cmp(&b.cover));
            later.extend(near);
        }
        self.tree += 1;
        Some(root as u32)
    }

    /// Writes what a link leads to, and returns it if it has children.
    fn put(
        &mut self,
        place: usize,
        tree: &Tree,
        link: u32,
        covers: &[f64],
        tests: &[(u16, u16)],
    ) -> Option<Option<Open>> {
        if link & LEAF != 0 {
            let number = self.leaf(link);
            self.nodes[place] = self.numbered(place as u32, ZERO, number)?;
            return Some(None);
        }
        let node = &tree.nodes[link as usize];
        let (column, rank) = tests[link as usize];
        self.nodes[place] = if node.feature & CATEGORICAL == 0 {
            Node { child: 0, rank, column }
        } else {
            let set = words(&tree.sets[node.threshold as usize], node.missing_left);
            let next = self.sets.len();
            let number = *self.set_numbers.entry(set).or_insert(next);
            if number == next {
                self.sets.push(set);
            }
            self.numbered(0, column, number)?
        };
        Some(Some(Open { cover: covers[link as usize], place, children: node.children }))
    }

    /// A leaf's number among the different ones, or in its tree.
    fn leaf(&self, link: u32) -> usize {
        let leaf = (link & !LEAF) as usize;
        self.leaves.as_ref().map_or(leaf, |leaves| leaves.numbers[self.tree][leaf] as usize)
    }

    /// A node with a number. `None` if it is too large.
    fn numbered(&self, child: u32, column: u16, number: usize) -> Option<Node> {
        let high = u16::try_from(number >> 16).ok().filter(|high| u32::from(*high) < 1 << (16 - self.bits))?;
        Some(Node { child, rank: number as u16, column: column | high << self.bits })
    }

    /// The place of a pair of leaves that was met before, if both children are leaves; else notes that it comes next.
    fn shared(&mut self, children: [u32; 2]) -> Option<u32> {
        if self.leaves.is_none() || children.iter().any(|link| link & LEAF == 0) {
            return None;
        }
        let pair = children.map(|link| self.leaf(link));
        let known = self.pairs.get(&pair).copied();
        if known.is_none() && self.pairs.len() < SHARED_PAIRS {
            self.pairs.insert(pair, self.nodes.len() as u32);
        }
        known
    }
}

/// The leaves that differ.
struct Leaves {
    values: Vec<f64>,
    /// Of each tree, every leaf's number among the different ones.
    numbers: Vec<Vec<u32>>,
}

impl Leaves {
    /// `None` where there are too many.
    fn new(trees: &[Tree]) -> Option<Self> {
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let (mut values, mut known) = (Vec::new(), HashMap::<u64, u32>::new());
        let mut number = |leaf: &[f64]| {
            // Bits, for a negative zero to stay one.
            let bits = || leaf.iter().map(|value| value.to_bits());
            let mut key = hasher.hash_one(0);
            bits().for_each(|bits| key = (key ^ bits).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29));
            let next = (values.len() / leaf.len()) as u32;
            let number = *known.entry(key).or_insert(next);
            if number == next {
                values.extend_from_slice(leaf);
            } else if !bits().eq(values[number as usize * leaf.len()..][..leaf.len()].iter().map(|v: &f64| v.to_bits()))
            {
                return None;
            }
            (number < DIFFERENT as u32).then_some(number)
        };
        let of = |tree: &Tree| tree.leaves.chunks_exact(tree.width as usize).map(&mut number).collect();
        let numbers = trees.iter().map(of).collect::<Option<_>>()?;
        Some(Self { values, numbers })
    }
}

/// Which categories go left, those that are missing by the last bit.
fn words(set: &Set, missing_left: bool) -> [u64; 5] {
    let mut words = [0; 5];
    set.iter().for_each(|code| words[usize::from(code >> 6)] |= 1 << (code & 63));
    if missing_left { words.map(|word: u64| !word) } else { words }
}
