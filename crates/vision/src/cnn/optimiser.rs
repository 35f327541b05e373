//! Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019), and the running mean of what it finds.

use super::weights::Tensors;

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

pub(super) struct AdamW {
    first: Tensors,
    second: Tensors,
    steps: i32,
    weight_decay: f32,
}

impl AdamW {
    pub fn new(tensors: &Tensors, weight_decay: f64) -> Self {
        let zeros = || tensors.iter().map(|tensor| vec![0.0; tensor.len()]).collect();
        Self { first: zeros(), second: zeros(), steps: 0, weight_decay: weight_decay as f32 }
    }

    /// One step down the gradient. Only what `decays` is drawn to zero: kernels and weights, not scales and shifts.
    pub fn step(&mut self, tensors: &mut Tensors, gradient: &Tensors, rate: f64, decays: impl Fn(usize) -> bool) {
        self.steps += 1;
        let step = rate / (1.0 - BETA_1.powi(self.steps));
        let correction = 1.0 - BETA_2.powi(self.steps);
        for (index, tensor) in tensors.iter_mut().enumerate() {
            let keep = if decays(index) { 1.0 - rate as f32 * self.weight_decay } else { 1.0 };
            let moments = self.first[index].iter_mut().zip(&mut self.second[index]);
            for ((value, derivative), (first, second)) in tensor.iter_mut().zip(&gradient[index]).zip(moments) {
                *first += (1.0 - BETA_1) as f32 * (derivative - *first);
                *second += (1.0 - BETA_2) as f32 * (derivative * derivative - *second);
                let size = (f64::from(*second) / correction).sqrt() + EPSILON;
                *value = *value * keep - (step * f64::from(*first) / size) as f32;
            }
        }
    }
}

/// Linear over the first twentieth of the steps, then half a cosine down to zero.
pub(super) fn rate(highest: f64, step: usize, steps: usize) -> f64 {
    let warm_up = (steps / 20).max(1);
    if step < warm_up {
        return highest * (step + 1) as f64 / warm_up as f64;
    }
    let done = (step - warm_up) as f64 / (steps - warm_up).max(1) as f64;
    highest * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_of_a_parabola_is_found() {
        let mut tensors = vec![vec![3.0, -2.0]];
        let mut optimiser = AdamW::new(&tensors, 0.0);
        for step in 0..500 {
            let gradient = vec![tensors[0].iter().map(|value| 2.0 * (value - 1.0)).collect()];
            optimiser.step(&mut tensors, &gradient, rate(0.1, step, 500), |_| true);
        }
        assert!(tensors[0].iter().all(|value| (value - 1.0).abs() < 1e-2), "{tensors:?}");
    }

    #[test]
    fn what_has_no_gradient_decays_only_where_it_shall() {
        let mut tensors = vec![vec![1.0], vec![1.0]];
        AdamW::new(&tensors, 0.5).step(&mut tensors, &vec![vec![0.0], vec![0.0]], 0.1, |index| index == 0);
        assert_eq!(tensors, [[0.95], [1.0]]);
    }

    #[test]
    fn the_rate_rises_then_falls_to_nothing() {
        let rates: Vec<f64> = (0..100).map(|step| rate(1.0, step, 100)).collect();
        assert!(rates[0] < rates[4] && rates[5] == 1.0 && rates[50] < 0.6 && rates[99] < 0.01);
        assert!(rate(1.0, 0, 1) == 1.0);
    }
}
