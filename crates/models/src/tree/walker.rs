//! Trees laid out for walking: many walks go on at a time, on nodes of eight bytes.
//!
//! A step of a walk is a chain of reads, each waiting for the one before it. So the walks of one row in all trees, or of many
//! rows in one tree, take their steps in turn: none waits for another, and the processor reads for dozens of them at a
//! time. Leaves lead to themselves, so a step has no branch to guess wrong; who has arrived is dropped every few steps.
//!
//! - A row's values become ranks among the thresholds of their feature, once for all trees: exact, and two bytes each. A
//!   feature has two ranks, one for the splits that send missing values right and one for those that send them left; they
//!   differ where the value is missing.
//! - Siblings are adjacent, and a line of the cache has four pairs of them: a pair, and those that most training rows came to
//!   from it.
//! - Equal leaves are kept once, and so are equal pairs of them: in a forest of classes that is most of the tree's end.

mod layout;
mod ranks;
#[cfg(test)]
mod tests;

use std::hint::black_box;

use self::ranks::Ranks;
use super::Tree;

/// Walks that go on at a time: their rows and places stay in the first cache.
const WALKS: usize = 256;
/// Steps between looks for those that have arrived: of one row, whose nodes come from memory, fewer, for more walks to be on
/// their way; of many rows, whose tree is in the cache.
const ROW_STEPS: usize = 2;
const ROWS_STEPS: usize = 3;
/// Nodes in a line of the cache.
const LINE: usize = 64 / size_of::<Node>();
/// Lines of a tree that a row comes to, about, without those that many come to.
const LINES_A_ROW: usize = 8;
/// Fewer rows are walked one after the other, each in all trees: a tree for so few of them would wait for memory.
const FEW_ROWS: usize = 24;
/// The most ranks of a row that is walked by itself: they are kept on the stack.
const ROW_RANKS: usize = 1024;

/// Trees in another form than [`Tree`]'s, that finds the same leaves.
#[derive(Debug)]
pub(crate) struct Walker {
    ranks: Ranks,
    nodes: Vec<Node>,
    /// The place of each tree's root.
    roots: Vec<u32>,
    /// Of splits on categories; the last bit stands for a missing one.
    sets: Vec<[u64; 5]>,
    /// The values of different leaves, `width` each; `None` where most leaves differ: numbers are those in their tree.
    leaves: Option<Vec<f64>>,
    width: usize,
    /// How many low bits of a node's column tell the column.
    bits: u32,
    /// Whether there are no splits on categories and no numbers beyond the low half, so that columns are all there is.
    plain: bool,
    first_category: u16,
}

/// A split or a leaf.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(8))]
struct Node {
    /// The place of the left child, the right one is next to it; of a leaf its own.
    child: u32,
    /// Rows up to this rank go left. Of a leaf and a split on categories the low half of its number.
    rank: u16,
    /// Which of a row's ranks; above those bits the high part of the number.
    column: u16,
}

/// A walk on its way.
#[derive(Clone, Copy, Default)]
struct Walk {
    place: u32,
    /// The number of its row, or of its tree.
    number: u32,
}

impl Walker {
    /// Calls `each` with the number of every tree and the values of the leaf the row falls into there, in order of the
    /// trees. Does not allocate.
    pub fn for_each_tree(&self, trees: &[Tree], row: &[f64], mut each: impl FnMut(usize, &[f64])) {
        let mut ranks = [0; ROW_RANKS];
        let ranks = &mut ranks[..self.ranks.len()];
        self.ranks.write(row, ranks);
        let mut walks = [Walk::default(); WALKS];
        let mut leaves = [0; WALKS];
        for (chunk, roots) in self.roots.chunks(WALKS).enumerate() {
            for (number, (walk, root)) in walks.iter_mut().zip(roots).enumerate() {
                *walk = Walk { place: *root, number: number as u32 };
            }
            self.descend::<true>(&mut walks, roots.len(), ranks, &mut leaves);
            for (number, leaf) in leaves[..roots.len()].iter().enumerate() {
                let number = chunk * WALKS + number;
                each(number, self.values(&trees[number], *leaf));
            }
        }
    }

    /// Calls `each` with the numbers of every tree and every row and the values of the leaf, for each row in order of the
    /// trees. `rows` holds rows of `width` values.
    pub fn for_each_row(&self, trees: &[Tree], rows: &[f64], width: usize, mut each: impl FnMut(usize, usize, &[f64])) {
        if rows.len() < FEW_ROWS * width && self.ranks.len() <= ROW_RANKS {
            for (number, row) in rows.chunks_exact(width).enumerate() {
                self.for_each_tree(trees, row, |tree, leaf| each(tree, number, leaf));
            }
            return;
        }
        let ranks = self.ranks.of_rows(rows, width);
        let mut walks = [Walk::default(); WALKS];
        let mut leaves = [0; WALKS];
        for (tree_number, (tree, root)) in trees.iter().zip(&self.roots).enumerate() {
            self.fetch(tree_number, rows.len() / width);
            for (chunk, ranks) in ranks.chunks(WALKS * self.ranks.len()).enumerate() {
                let count = ranks.len() / self.ranks.len();
                for (number, walk) in walks.iter_mut().take(count).enumerate() {
                    *walk = Walk { place: *root, number: number as u32 };
                }
                self.descend::<false>(&mut walks, count, ranks, &mut leaves);
                for (number, leaf) in leaves[..count].iter().enumerate() {
                    each(tree_number, chunk * WALKS + number, self.values(tree, *leaf));
                }
            }
        }
    }

    /// Reads a tree line after line, which memory is fast at, before many rows read it here and there.
    fn fetch(&self, tree: usize, rows: usize) {
        let end = self.roots.get(tree + 1).map_or(self.nodes.len(), |next| *next as usize);
        let nodes = &self.nodes[self.roots[tree] as usize..end];
        if rows * LINES_A_ROW >= nodes.len() / LINE {
            black_box(nodes.iter().step_by(LINE).fold(0, |sum, node| sum ^ node.child));
        }
    }

    /// Whether a row by itself can be walked.
    pub fn takes_one_row(&self) -> bool {
        self.ranks.len() <= ROW_RANKS
    }

    /// Walks to the leaves and writes each one's place where the walk's number says. `ONE_ROW`: all walks are of the same row,
    /// else a number is a row's, too.
    fn descend<const ONE_ROW: bool>(
        &self,
        walks: &mut [Walk; WALKS],
        count: usize,
        ranks: &[u16],
        leaves: &mut [u32; WALKS],
    ) {
        match (ONE_ROW, self.plain) {
            (true, true) => self.descend_by::<true, true, ROW_STEPS>(walks, count, ranks, leaves),
            (true, false) => self.descend_by::<true, false, ROW_STEPS>(walks, count, ranks, leaves),
            (false, true) => self.descend_by::<false, true, ROWS_STEPS>(walks, count, ranks, leaves),
            (false, false) => self.descend_by::<false, false, ROWS_STEPS>(walks, count, ranks, leaves),
        }
    }

    fn descend_by<const ONE_ROW: bool, const PLAIN: bool, const STEPS: usize>(
        &self,
        walks: &mut [Walk; WALKS],
        count: usize,
        ranks: &[u16],
        leaves: &mut [u32; WALKS],
    ) {
        let width = self.ranks.len();
        let nodes = self.nodes.as_slice();
        let mut walking = count.min(WALKS);
        while walking > 0 {
            let mut stay = 0_usize;
            for index in 0..walking {
                let Walk { mut place, number } = walks[index % WALKS];
                let row = if ONE_ROW { ranks } else { &ranks[(number as usize).wrapping_mul(width)..][..width] };
                for _ in 0..STEPS {
                    place = self.step::<PLAIN>(nodes, place, row);
                }
                leaves[number as usize % WALKS] = place;
                // Written without a branch; the next one that stays takes the place of one that does not.
                walks[stay % WALKS] = Walk { place, number };
                stay = stay.wrapping_add(usize::from(nodes[place as usize].child != place));
            }
            walking = stay;
        }
    }

    #[inline(always)]
    fn step<const PLAIN: bool>(&self, nodes: &[Node], place: u32, row: &[u16]) -> u32 {
        let node = nodes[place as usize];
        if PLAIN {
            let right = row[usize::from(node.column)] > node.rank;
            return node.child.wrapping_add(u32::from(right));
        }
        let column = node.column & ((1 << self.bits) - 1);
        let rank = row[usize::from(column)];
        let right = if column >= self.first_category {
            let set = &self.sets[self.number(node)];
            set[usize::from(rank >> 6)] >> (rank & 63) & 1 == 0
        } else {
            rank > node.rank
        };
        node.child.wrapping_add(u32::from(right))
    }

    /// The number that a leaf or a split on categories has.
    fn number(&self, node: Node) -> usize {
        usize::from(node.rank) | usize::from(node.column) >> self.bits << 16
    }

    fn values<'a>(&'a self, tree: &'a Tree, leaf: u32) -> &'a [f64] {
        let leaves = self.leaves.as_deref().unwrap_or(&tree.leaves);
        &leaves[self.number(self.nodes[leaf as usize]) * self.width..][..self.width]
    }
}
