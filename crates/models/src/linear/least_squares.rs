//! Least squares by orthogonal reflections (Golub and Van Loan, "Matrix Computations", 5.2 to 5.5), which keep the
//! digits that the normal equations would lose.
//!
//! Rows are folded into a triangle as they come; memory does not grow with their number. The triangle is then solved
//! with column pivoting: columns that are sums of others are found, and of the solutions the shortest is taken.

use crate::sums::{dot, norm};

/// Rows folded together: enough to pay for a pass over the triangle, few enough to stay in the cache.
const BLOCK: usize = 256;
/// A column of which less than this share is not already in the others holds rounding errors and nothing else.
const INDEPENDENT: f64 = 1e-10;

/// The triangle R and the vector Qᵀy of all rows so far, where QR are the columns and y the target.
pub(super) struct Triangle {
    width: usize,
    /// Column after column, `width` values each; the target's comes last.
    upper: Vec<f64>,
    /// Rows not folded in yet, column after column, `BLOCK` values each.
    block: Vec<f64>,
    waiting: usize,
}

/// Coefficients that minimise the sum of squares.
pub(super) struct Solution {
    pub coefficients: Vec<f64>,
    /// Number of independent columns.
    pub rank: usize,
    /// Trace of (RᵀR)⁻¹; only meaningful when all columns are independent.
    pub inverse_trace: f64,
}

impl Triangle {
    pub fn new(width: usize) -> Self {
        let columns = width + 1;
        Self { width, upper: vec![0.0; columns * width], block: vec![0.0; columns * BLOCK], waiting: 0 }
    }

    /// Adds a row of `width` values and its target.
    pub fn push(&mut self, row: impl IntoIterator<Item = f64>, target: f64) {
        let columns = self.block.chunks_exact_mut(BLOCK);
        columns.zip(row.into_iter().chain([target])).for_each(|(column, value)| column[self.waiting] = value);
        self.waiting += 1;
        if self.waiting == BLOCK {
            self.fold();
        }
    }

    /// Reflects the waiting rows into the triangle, column by column.
    fn fold(&mut self) {
        for pivot in 0..self.width {
            let (done, rest) = self.block.split_at_mut((pivot + 1) * BLOCK);
            let below = &done[pivot * BLOCK..][..self.waiting];
            let diagonal = &mut self.upper[pivot * self.width + pivot];
            let Some(reflection) = Reflection::new(diagonal, below) else { continue };
            for (column, values) in rest.chunks_exact_mut(BLOCK).enumerate() {
                let top = &mut self.upper[(pivot + 1 + column) * self.width + pivot];
                reflection.apply(below, top, &mut values[..self.waiting]);
            }
        }
        self.waiting = 0;
    }

    /// The coefficients are `NaN` when the sums left the range of numbers.
    pub fn solve(mut self) -> Solution {
        self.fold();
        let Self { width, upper, .. } = self;
        let mut columns: Vec<Vec<f64>> = upper.chunks_exact(width.max(1)).map(<[f64]>::to_vec).collect();
        let mut target = columns.pop().unwrap_or_default();
        let mut order: Vec<usize> = (0..width).collect();
        let norms: Vec<f64> = columns.iter().map(|column| norm(column)).collect();
        if norms.iter().any(|norm| !norm.is_finite()) {
            return Solution { coefficients: vec![f64::NAN; width], rank: 0, inverse_trace: 0.0 };
        }
        let mut rank = 0;
        while rank < width {
            // The share is of a column's own length, so that the units of the features do not matter.
            let share = |column: usize| {
                let length = norms[order[column]];
                if length > 0.0 { norm(&columns[column][rank..]) / length } else { 0.0 }
            };
            let (best, left) =
                (rank..width).map(|c| (c, share(c))).fold((rank, -1.0), |a, b| if b.1 > a.1 { b } else { a });
            if left <= INDEPENDENT {
                break;
            }
            columns.swap(rank, best);
            order.swap(rank, best);
            let (done, rest) = columns.split_at_mut(rank + 1);
            reflect(&mut done[rank], rank, rest.iter_mut().chain([&mut target]));
            rank += 1;
        }
        columns.iter_mut().for_each(|column| column.truncate(rank));
        target.truncate(rank);
        let inverse_trace = inverse_trace(&columns[..rank]);
        let solution = if rank == width { back_substitute(&columns, target) } else { shortest(&columns, rank, target) };
        let mut coefficients = vec![0.0; width];
        order.into_iter().zip(solution).for_each(|(column, value)| coefficients[column] = value);
        Solution { coefficients, rank, inverse_trace }
    }
}

/// I - factor × v vᵀ with v = (head, below): takes a vector (diagonal, below) to (±its length, 0).
struct Reflection {
    head: f64,
    factor: f64,
}

impl Reflection {
    /// `None` when there is nothing below the diagonal to clear.
    fn new(diagonal: &mut f64, below: &[f64]) -> Option<Self> {
        let squares = dot(below, below);
        if squares == 0.0 {
            return None;
        }
        let length = (*diagonal * *diagonal + squares).sqrt();
        // The sign that adds: a difference of near equals would lose digits.
        let reflected = if *diagonal > 0.0 { -length } else { length };
        let head = *diagonal - reflected;
        *diagonal = reflected;
        Some(Self { head, factor: 2.0 / (head * head + squares) })
    }

    fn apply(&self, below: &[f64], top: &mut f64, values: &mut [f64]) {
        let along = self.factor * (self.head * *top + dot(below, values));
        *top -= along * self.head;
        values.iter_mut().zip(below).for_each(|(value, v)| *value -= along * v);
    }
}

/// Clears `pivot` below its place `at` and takes the other columns along.
fn reflect<'a>(pivot: &mut [f64], at: usize, others: impl Iterator<Item = &'a mut Vec<f64>>) {
    let (head, below) = pivot[at..].split_at_mut(1);
    if let Some(reflection) = Reflection::new(&mut head[0], below) {
        for column in others {
            let (top, values) = column[at..].split_at_mut(1);
            reflection.apply(below, &mut top[0], values);
        }
    }
    below.fill(0.0);
}

/// Of the solutions z of T z = target, where T has fewer rows than columns, the one of least length: with the
/// transpose of T factored as QS, z = Q S⁻ᵀ target.
fn shortest(columns: &[Vec<f64>], rank: usize, target: Vec<f64>) -> Vec<f64> {
    let width = columns.len();
    let mut transposed: Vec<Vec<f64>> =
        (0..rank).map(|row| columns.iter().map(|column| column[row]).collect()).collect();
    let mut basis: Vec<Vec<f64>> =
        (0..width).map(|i| (0..width).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for at in 0..rank {
        let (done, rest) = transposed.split_at_mut(at + 1);
        reflect(&mut done[at], at, rest.iter_mut().chain(&mut basis));
    }
    // `transposed` holds S; `basis` Qᵀ, whose column i is Qᵀ eᵢ.
    let mut inner = target;
    for row in 0..rank {
        let (known, unknown) = inner.split_at_mut(row);
        unknown[0] = (unknown[0] - dot(&transposed[row][..row], known)) / transposed[row][row];
    }
    basis.iter().map(|column| dot(&column[..rank], &inner)).collect()
}

/// Solves a square upper triangle.
fn back_substitute(columns: &[Vec<f64>], mut target: Vec<f64>) -> Vec<f64> {
    for at in (0..columns.len()).rev() {
        let (above, rest) = target.split_at_mut(at);
        rest[0] /= columns[at][at];
        above.iter_mut().zip(&columns[at]).for_each(|(value, entry)| *value -= rest[0] * entry);
    }
    target
}

/// Trace of (RᵀR)⁻¹: the sum of squares of R⁻¹, column by column.
fn inverse_trace(columns: &[Vec<f64>]) -> f64 {
    (0..columns.len())
        .map(|column| {
            let mut unit = vec![0.0; column + 1];
            unit[column] = 1.0;
            let inverse = back_substitute(&columns[..=column], unit);
            dot(&inverse, &inverse)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::Uniform;

    fn solve(rows: &[(Vec<f64>, f64)]) -> Solution {
        let mut triangle = Triangle::new(rows[0].0.len());
        rows.iter().for_each(|(row, target)| triangle.push(row.iter().copied(), *target));
        triangle.solve()
    }

    #[test]
    fn an_exact_solution_is_found_over_many_blocks() {
        let mut uniform = Uniform(1);
        let truth = [2.0, -3.0, 0.5, 1e4];
        let rows: Vec<_> = (0..3 * BLOCK + 17)
            .map(|_| {
                let row: Vec<f64> = (&mut uniform).take(4).collect();
                let target = dot(&row, &truth);
                (row, target)
            })
            .collect();
        let solution = solve(&rows);
        assert_eq!(solution.rank, 4);
        assert!(solution.coefficients.iter().zip(truth).all(|(a, b)| (a / b - 1.0).abs() < 1e-9));
    }

    #[test]
    fn of_many_solutions_the_shortest_is_taken() {
        let solution = solve(&[(vec![1.0, 2.0, 2.0], 9.0)]);
        assert_eq!(solution.rank, 1);
        assert!(solution.coefficients.iter().zip([1.0, 2.0, 2.0]).all(|(a, b)| (a - b).abs() < 1e-12));
        let solution = solve(&[(vec![1.0, 1.0, 0.0], 2.0), (vec![1.0, 1.0, 0.0], 4.0), (vec![-1.0, -1.0, 0.0], -3.0)]);
        assert!(solution.coefficients.iter().zip([1.5, 1.5, 0.0]).all(|(a, b)| (a - b).abs() < 1e-12));
    }

    #[test]
    fn dependence_is_seen_whatever_the_units() {
        let mut uniform = Uniform(2);
        let rows: Vec<_> = (0..50)
            .map(|_| {
                let (a, b) = (uniform.next().unwrap(), uniform.next().unwrap());
                (vec![a * 1e-12, b * 1e12, (a + b) * 1e3], a)
            })
            .collect();
        assert_eq!(solve(&rows).rank, 2);
    }

    #[test]
    fn the_inverse_has_the_right_trace() {
        // RᵀR = diag(4, 25).
        let solution = solve(&[(vec![2.0, 0.0], 1.0), (vec![0.0, 5.0], 1.0)]);
        assert!((solution.inverse_trace - (0.25 + 0.04)).abs() < 1e-15);
    }

    #[test]
    fn no_columns_and_no_rows_are_no_trouble() {
        assert!(Triangle::new(0).solve().coefficients.is_empty());
        assert_eq!(Triangle::new(2).solve().coefficients, [0.0, 0.0]);
    }
}
