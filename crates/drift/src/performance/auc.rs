//! The area under the ROC curve, of rows and of counts by score.

/// The expected area when row i is of class 1 with probability `shares[i]`, independently: the expected pairs in order over the
/// expected pairs (the ratio of the expectations, exact but for terms of 1/rows). Also how it changes with each share. `None`
/// without any pair to expect.
pub(crate) fn expected(scores: &[f64], shares: &[f64]) -> Option<(f64, Vec<f64>)> {
    let (ones, zeros): (f64, f64) = (shares.iter().sum(), shares.iter().map(|share| 1.0 - share).sum());
    // Two rows of it are less than a pair, and one expected in a thousand windows defines nothing.
    if scores.len() < 2 || ones < 0.5 || zeros < 0.5 {
        return None;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]).then(a.cmp(&b)));
    let mut slopes = vec![0.0; scores.len()];
    let (mut ones_below, mut zeros_below, mut ordered) = (0.0, 0.0, 0.0);
    for tied in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let tied_ones: f64 = tied.iter().map(|&row| shares[row]).sum();
        let tied_zeros = tied.len() as f64 - tied_ones;
        let (below, above) = (zeros_below + tied_zeros / 2.0, ones - ones_below - tied_ones / 2.0);
        ordered += tied_ones * below;
        tied.iter().for_each(|&row| slopes[row] = below - above);
        ones_below += tied_ones;
        zeros_below += tied_zeros;
    }
    let pairs = ones * zeros;
    let area = ordered / pairs;
    slopes.iter_mut().for_each(|slope| *slope = *slope / pairs - area * (1.0 / ones - 1.0 / zeros));
    Some((area, slopes))
}

/// The area of rows counted by score, as (class 0, class 1) in rising order of the score, its standard error (DeLong et al.
/// 1988), and by how much ties within a count may be wrong. `None` without rows of both classes.
pub(crate) fn counted(cells: &[(u64, u64)]) -> Option<(f64, f64, f64)> {
    let zeros: u64 = cells.iter().map(|cell| cell.0).sum();
    let ones: u64 = cells.iter().map(|cell| cell.1).sum();
    if zeros == 0 || ones == 0 {
        return None;
    }
    let (zeros, ones) = (zeros as f64, ones as f64);
    let (mut below, mut above) = (0.0, ones);
    let (mut area, mut tied) = (0.0, 0.0);
    let (mut square_ones, mut square_zeros) = (0.0, 0.0);
    for &(zero, one) in cells {
        let (zero, one) = (zero as f64, one as f64);
        above -= one;
        // The place of a row of class 1 among those of class 0, and the other way round.
        let (place, counterplace) = ((below + zero / 2.0) / zeros, (above + one / 2.0) / ones);
        area += one * place / ones;
        tied += zero * one / (zeros * ones);
        square_ones += one * place * place;
        square_zeros += zero * counterplace * counterplace;
        below += zero;
    }
    let variance = |squares: f64, n: f64| (squares / n - area * area).max(0.0) / (n - 1.0).max(1.0);
    let error = (variance(square_ones, ones) + variance(square_zeros, zeros)).sqrt();
    Some((area.min(1.0), error, tied / 2.0))
}
