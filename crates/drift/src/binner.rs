//! Value → bin in a few instructions: a guide table instead of a search.

/// Edges compared with at a leaf.
const LEAF_EDGES: usize = 2;
/// Levels of tables; below, edges packed this densely are searched.
const MAX_DEPTH: usize = 6;
/// How many cells of a table there are per edge.
const CELLS_PER_EDGE: usize = 4;
const KIND_SHIFT: u32 = 14;
const PAYLOAD: u16 = (1 << KIND_SHIFT) - 1;
const LEAF: u16 = 0;
const TABLE: u16 = 1;
const SEARCH: u16 = 2;

/// A table over `cells` equal steps from `origin`.
///
/// `cell(x) = clamp((x − origin)·scale)` is monotone in x whatever floating point rounds away, so an edge in an earlier cell
/// than x is smaller than x and one in a later cell is larger: only the edges of x's own cell need a comparison.
#[derive(Debug, Clone)]
struct Table {
    origin: f64,
    scale: f64,
    last: f64,
    first_cell: usize,
}

impl Table {
    #[inline(always)]
    fn cell(&self, x: f64) -> usize {
        // NaN (x is NaN, or 0·∞ for a range too wide or too narrow to scale) becomes 0.
        let step = ((x - self.origin) * self.scale).max(0.0).min(self.last);
        self.first_cell + step as u32 as usize
    }
}

/// Maps a value to the index of its right-closed bin: the number of edges smaller than it.
///
/// Tables nest where edges crowd (heavy tails, clusters), so the cost hardly depends on the distribution.
#[derive(Debug, Clone)]
pub struct Binner {
    /// The edges, padded with ∞ for comparisons past the end.
    edges: Vec<f64>,
    bins: usize,
    tables: Vec<Table>,
    /// Kind in the top bits; below, the number of edges before the cell or the index of the nested table.
    cells: Vec<u16>,
}

impl Binner {
    /// Builds the guide over strictly increasing, finite `edges`, at most 8,192 of them.
    pub fn new(edges: &[f64]) -> Self {
        let mut padded = edges.to_vec();
        padded.extend([f64::INFINITY; LEAF_EDGES]);
        let mut binner = Self { edges: padded, bins: edges.len() + 1, tables: Vec::new(), cells: Vec::new() };
        binner.add_table(edges, 0, 0);
        binner
    }

    /// The number of bins: one more than edges.
    pub fn bins(&self) -> usize {
        self.bins
    }

    /// The bin of `x`: how many edges are smaller. NaN has no bin and answers 0.
    #[inline(always)]
    pub fn bin(&self, x: f64) -> usize {
        let entry = self.cells[self.tables[0].cell(x)];
        if entry >> KIND_SHIFT == LEAF { self.leaf(entry, x) } else { self.nested(entry, x) }
    }

    #[inline(always)]
    fn leaf(&self, entry: u16, x: f64) -> usize {
        let before = usize::from(entry);
        // Edges past the cell are larger than x, so comparing with them changes nothing.
        let edges = &self.edges[before..before + LEAF_EDGES];
        before + usize::from(edges[0] < x) + usize::from(edges[1] < x)
    }

    #[inline(never)]
    fn nested(&self, mut entry: u16, x: f64) -> usize {
        while entry >> KIND_SHIFT == TABLE {
            entry = self.cells[self.tables[usize::from(entry & PAYLOAD)].cell(x)];
        }
        if entry >> KIND_SHIFT == LEAF {
            return self.leaf(entry, x);
        }
        let before = usize::from(entry & PAYLOAD);
        before + self.edges[before..].partition_point(|&edge| edge < x)
    }

    /// Adds a table over `edges`, `before` edges being smaller; returns its index.
    fn add_table(&mut self, edges: &[f64], before: usize, depth: usize) -> usize {
        let cells = (edges.len() * CELLS_PER_EDGE).next_power_of_two().max(1);
        // The outermost edges of a heavy tail would stretch the table: they share its end cells.
        let trim = edges.len() / 64;
        // A subnormal origin (the edge just below 0) would make every 0 a slow operand; any origin is a right one.
        let origin = edges.get(trim).copied().filter(|edge| edge.is_normal()).unwrap_or(0.0);
        let end = edges.len().checked_sub(1 + trim).map_or(0.0, |last| edges[last]);
        let table = Table {
            origin,
            // Never negative: the cells must grow with x.
            scale: cells as f64 / (end - origin).abs(),
            last: (cells - 1) as f64,
            first_cell: self.cells.len(),
        };
        let index = self.tables.len();
        self.tables.push(table.clone());
        let first_cell = table.first_cell;
        self.cells.resize(first_cell + cells, 0);
        let mut start = 0;
        for cell in first_cell..first_cell + cells {
            let inside = edges[start..].iter().take_while(|&&edge| table.cell(edge) == cell).count();
            let entry = if inside <= LEAF_EDGES {
                (LEAF, before + start)
            } else if inside == edges.len() || depth + 1 == MAX_DEPTH || self.tables.len() >= usize::from(PAYLOAD) {
                (SEARCH, before + start)
            } else {
                (TABLE, self.add_table(&edges[start..start + inside], before + start, depth + 1))
            };
            self.cells[cell] = (entry.0 << KIND_SHIFT) | entry.1 as u16;
            start += inside;
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Lcg;

    fn naive(edges: &[f64], x: f64) -> usize {
        edges.partition_point(|&edge| edge < x)
    }

    fn check(mut edges: Vec<f64>, random: &mut Lcg, values: usize) {
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        let binner = Binner::new(&edges);
        let same = |x: f64| assert_eq!(binner.bin(x), naive(&edges, x), "x {x:e} of {} edges", edges.len());
        for &edge in &edges {
            [edge.next_down(), edge, edge.next_up()].into_iter().for_each(same);
        }
        for special in
            [0.0, -0.0, 5e-324, -5e-324, f64::MIN, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE]
        {
            same(special);
        }
        for _ in 0..values {
            let bits = random.bits();
            let any = f64::from_bits(bits);
            if !any.is_nan() {
                same(any);
            }
            if !edges.is_empty() {
                // Between two neighbouring edges, where real values lie.
                let at = (random.bits() >> 20) as usize % edges.len();
                let (low, high) = (edges[at], edges[(at + 1).min(edges.len() - 1)]);
                same(low + (high - low) * random.next().unwrap());
            }
        }
        assert!(binner.bin(f64::NAN) < binner.bins());
    }

    #[test]
    fn every_value_gets_the_bin_a_search_finds() {
        let mut random = Lcg::new(9);
        let normal: Vec<f64> = (0..1_025).map(|_| random.normal()).collect();
        let shapes: Vec<Vec<f64>> = vec![
            vec![],
            vec![0.0],
            vec![-5e-324, 0.0],
            vec![f64::MIN, f64::MAX.next_down()],
            normal.clone(),
            normal.iter().map(|z| (4.0 * z).exp()).collect(),
            normal.iter().map(|z| (150.0 * z).exp()).collect(),
            normal.iter().map(|z| z.signum() + z * 1e-9).collect(),
            normal.iter().enumerate().map(|(i, z)| if i == 0 { 1e6 } else { *z }).collect(),
            normal.iter().map(|z| z * 1e308).map(|z| z.clamp(f64::MIN, f64::MAX)).collect(),
            (0..1_025).map(|i| f64::from_bits(i * 3)).collect(),
            (1..1_025).map(|i| -f64::from_bits(i * 3)).collect(),
            (0..1_025).map(|i| f64::from_bits(i * 3) - f64::from_bits(1_500)).collect(),
            (0..512).flat_map(|i| [f64::from(i).next_down(), f64::from(i)]).collect(),
            (0..1_025).map(|i| f64::from_bits(1.0f64.to_bits() + i)).collect(),
        ];
        for edges in shapes {
            check(edges, &mut random, 100_000);
        }
    }
}
