//! Minimises a smooth function by L-BFGS (Nocedal and Wright, "Numerical Optimization", algorithms 7.4 and 7.5), with a
//! line search by doubling and halving (Lewis and Overton, "Nonsmooth optimization via quasi-Newton methods",
//! Mathematical Programming 141, 2013, algorithm 2.6). No randomness: the same function gives the same bits.

use std::collections::VecDeque;

use crate::sums::{dot, norm};

/// Steps remembered.
const MEMORY: usize = 10;
/// A step must lower the value by at least this share of what the slope promises ...
const DECREASE: f64 = 1e-4;
/// ... and leave at most this share of the slope.
const SLOPE_LEFT: f64 = 0.9;
/// Most lengths tried along a line.
const MAX_LENGTHS: usize = 60;

/// What was found.
pub(crate) struct Minimum {
    pub point: Vec<f64>,
    /// Whether the gradient became small enough.
    pub converged: bool,
}

/// A point of the function.
#[derive(Clone)]
struct Place {
    point: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

/// A step taken, and how the gradient changed on it.
struct Step {
    moved: Vec<f64>,
    change: Vec<f64>,
    curvature: f64,
}

/// Goes from `start` until no derivative is larger than `tol`, or for `max_iter` steps. `function` writes the gradient
/// of a point and returns the value.
pub(crate) fn minimise(
    start: Vec<f64>,
    max_iter: usize,
    tol: f64,
    mut function: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Minimum {
    let mut at = Place { gradient: vec![0.0; start.len()], point: start, value: 0.0 };
    at.value = function(&at.point, &mut at.gradient);
    let mut steps: VecDeque<Step> = VecDeque::with_capacity(MEMORY);
    for _ in 0..max_iter {
        if is_flat(&at, tol) {
            break;
        }
        let mut direction = direction(&at.gradient, &steps);
        if dot(&direction, &at.gradient) >= 0.0 {
            // Rounding has spoilt what is remembered.
            steps.clear();
            direction = at.gradient.iter().map(|slope| -slope).collect();
        }
        // Nothing is known of the scale at first: a step of length 1 at most.
        let first = if steps.is_empty() { (1.0 / norm(&direction)).min(1.0) } else { 1.0 };
        let Some(next) = search(&at, &direction, first, &mut function) else {
            if steps.is_empty() {
                break;
            }
            steps.clear();
            continue;
        };
        let moved: Vec<f64> = next.point.iter().zip(&at.point).map(|(a, b)| a - b).collect();
        let change: Vec<f64> = next.gradient.iter().zip(&at.gradient).map(|(a, b)| a - b).collect();
        let curvature = dot(&moved, &change);
        if curvature > 0.0 {
            if steps.len() == MEMORY {
                steps.pop_front();
            }
            steps.push_back(Step { moved, change, curvature });
        }
        at = next;
    }
    Minimum { converged: is_flat(&at, tol), point: at.point }
}

/// The gradient times an estimate of the inverse Hessian, downhill.
fn direction(gradient: &[f64], steps: &VecDeque<Step>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|slope| -slope).collect();
    let mut shares = Vec::with_capacity(steps.len());
    for step in steps.iter().rev() {
        let share = dot(&step.moved, &direction) / step.curvature;
        add(-share, &step.change, &mut direction);
        shares.push(share);
    }
    if let Some(last) = steps.back() {
        let scale = last.curvature / dot(&last.change, &last.change);
        direction.iter_mut().for_each(|value| *value *= scale);
    }
    for (step, share) in steps.iter().zip(shares.into_iter().rev()) {
        let back = dot(&step.change, &direction) / step.curvature;
        add(share - back, &step.moved, &mut direction);
    }
    direction
}

/// A place along the direction that is lower, and where the slope has flattened: the weak Wolfe conditions.
fn search(
    from: &Place,
    direction: &[f64],
    first: f64,
    function: &mut impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Option<Place> {
    let slope = dot(direction, &from.gradient);
    let (mut low, mut high, mut length) = (0.0, f64::INFINITY, first);
    let mut next = from.clone();
    for _ in 0..MAX_LENGTHS {
        next.point.copy_from_slice(&from.point);
        add(length, direction, &mut next.point);
        next.value = function(&next.point, &mut next.gradient);
        let new_slope = dot(direction, &next.gradient);
        // Near the minimum, values differ by rounding only; then the slope tells (Hager and Zhang, "A new conjugate
        // gradient method", SIAM Journal on Optimization 16, 2005, their approximate Wolfe conditions).
        let same = next.value <= from.value + 1e-14 * from.value.abs();
        let lower = next.value <= from.value + DECREASE * length * slope
            || (same && new_slope <= (2.0 * DECREASE - 1.0) * slope);
        if !lower {
            high = length;
        } else if new_slope < SLOPE_LEFT * slope {
            low = length;
        } else {
            return Some(next);
        }
        length = if high.is_finite() { f64::midpoint(low, high) } else { 2.0 * length };
    }
    None
}

fn is_flat(at: &Place, tol: f64) -> bool {
    at.gradient.iter().all(|slope| slope.abs() <= tol)
}

fn add(factor: f64, values: &[f64], to: &mut [f64]) {
    to.iter_mut().zip(values).for_each(|(to, value)| *to += factor * value);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rosenbrock's valley in any even number of dimensions.
    fn rosenbrock(point: &[f64], gradient: &mut [f64]) -> f64 {
        let mut value = 0.0;
        for (x, slope) in point.chunks_exact(2).zip(gradient.chunks_exact_mut(2)) {
            let (bend, off) = (x[1] - x[0] * x[0], 1.0 - x[0]);
            value += 100.0 * bend * bend + off * off;
            slope[0] = -400.0 * x[0] * bend - 2.0 * off;
            slope[1] = 200.0 * bend;
        }
        value
    }

    #[test]
    fn a_curved_valley_is_followed_to_its_end() {
        let minimum = minimise([-1.2, 1.0].repeat(5), 1_000, 1e-9, rosenbrock);
        assert!(minimum.converged);
        assert!(minimum.point.iter().all(|x| (x - 1.0).abs() < 1e-8));
    }

    #[test]
    fn badly_scaled_bowls_are_no_trouble() {
        let bowl = |point: &[f64], gradient: &mut [f64]| {
            let scale = |i: usize| 10_f64.powi(i as i32);
            (0..point.len()).for_each(|i| gradient[i] = scale(i) * (point[i] - 3.0));
            (0..point.len()).map(|i| 0.5 * scale(i) * (point[i] - 3.0).powi(2)).sum()
        };
        let minimum = minimise(vec![0.0; 7], 1_000, 1e-9, bowl);
        assert!(minimum.converged);
        assert!(minimum.point.iter().all(|x| (x - 3.0).abs() < 1e-8));
    }

    #[test]
    fn it_says_when_it_has_not_arrived() {
        assert!(!minimise(vec![-1.2, 1.0], 3, 1e-9, rosenbrock).converged);
        let falling = |point: &[f64], gradient: &mut [f64]| {
            gradient[0] = -1.0;
            -point[0]
        };
        assert!(!minimise(vec![0.0], 100, 1e-9, falling).converged);
        let broken = |_: &[f64], gradient: &mut [f64]| {
            gradient.fill(f64::NAN);
            f64::NAN
        };
        assert!(!minimise(vec![0.0], 100, 1e-9, broken).converged);
    }
}
