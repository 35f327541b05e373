//! Weighted sums of prepared columns.

use driftmill_models::parts::WeightedSums;

use super::builder::Builder;

/// Writes the sums of rows and returns their name, the wanted one if it can be had.
pub(super) fn write(graph: &mut Builder, rows: &str, sums: WeightedSums, wanted: &str) -> String {
    let (width, n_sums) = (sums.fill.len(), sums.intercepts.len());
    // A column of scale 0 is 0 whatever its value: no value is small enough, so that its shift is filled in.
    let dead = |column: usize| sums.scale[column] == 0.0;
    let limit = (0..width).map(|column| if dead(column) { -1.0 } else { f64::MAX }).collect();
    let fill = (0..width).map(|column| if dead(column) { sums.shift[column] } else { sums.fill[column] }).collect();
    let size = graph.node("Abs", &[rows], "size", &[]);
    let limit = graph.doubles("limit", &[1, width], limit);
    // False also for what is no number.
    let present = graph.node("LessOrEqual", &[&size, &limit], "is_present", &[]);
    let fill = graph.doubles("fill", &[1, width], fill);
    let filled = graph.node("Where", &[&present, rows, &fill], "filled", &[]);
    let shift = graph.doubles("shift", &[1, width], sums.shift);
    let shifted = graph.node("Sub", &[&filled, &shift], "shifted", &[]);
    let scale = graph.doubles("scale", &[1, width], sums.scale);
    let scaled = graph.node("Mul", &[&shifted, &scale], "scaled", &[]);
    let by_column = (0..width).flat_map(|column| sums.coefficients.iter().map(move |sum| sum[column])).collect();
    let coefficients = graph.doubles("coefficients", &[width, n_sums], by_column);
    let weighted = graph.node("MatMul", &[&scaled, &coefficients], "weighted", &[]);
    let intercepts = graph.doubles("intercepts", &[1, n_sums], sums.intercepts);
    graph.node("Add", &[&weighted, &intercepts], wanted, &[])
}
