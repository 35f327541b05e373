//! The numbers that are learned, and the network they make.

use super::{Cnn, Convolution, Head};
use crate::random;

/// Channels after each convolution.
pub(super) const CHANNELS: [usize; 4] = [16, 32, 64, 128];

/// Added to a variance before its root is divided by; the same in training and after it.
pub(super) const EPSILON: f64 = 1e-5;

/// A list of tensors in one order: for convolution after convolution its kernel, the batch norm's scale and shift; then
/// the last layer's weights and bias.
pub(super) type Tensors = Vec<Vec<f32>>;

/// Mean and variance of each channel before each batch norm.
#[derive(Clone)]
pub(super) struct Moments {
    pub means: Vec<Vec<f32>>,
    pub variances: Vec<Vec<f32>>,
}

impl Moments {
    pub fn new() -> Self {
        let of = |value| CHANNELS.iter().map(|channels| vec![value; *channels]).collect();
        Self { means: of(0.0), variances: of(1.0) }
    }

    /// Moves a share of the way towards what a batch had.
    pub fn approach(&mut self, other: &Self, share: f32) {
        let pairs = self.means.iter_mut().zip(&other.means).chain(self.variances.iter_mut().zip(&other.variances));
        for (own, other) in pairs {
            own.iter_mut().zip(other).for_each(|(own, other)| *own += share * (other - *own));
        }
    }
}

/// Shapes of the tensors; kernels are `[output, input, row, column]`, the last layer is `[feature, class]`.
pub(super) fn shapes(n_classes: usize) -> Vec<Vec<usize>> {
    let mut shapes = Vec::new();
    let mut inputs = 3;
    for outputs in CHANNELS {
        shapes.extend([vec![outputs, inputs, 3, 3], vec![outputs], vec![outputs]]);
        inputs = outputs;
    }
    shapes.extend([vec![2 * inputs, n_classes], vec![n_classes]]);
    shapes
}

/// He's initialisation of the kernels, the identity for batch norms, little for the last layer.
pub(super) fn initial(n_classes: usize, seed: u64) -> Tensors {
    let tensors = shapes(n_classes).into_iter().enumerate().map(|(index, shape)| {
        let mut rng = random::stream(seed, index as u64);
        let count = shape.iter().product();
        let mut uniform = |bound: f32| (0..count).map(|_| random::within(&mut rng, bound)).collect();
        match shape[..] {
            [_, inputs, ..] if shape.len() == 4 => uniform((6.0 / (9 * inputs) as f32).sqrt()),
            [features, _] => uniform((1.0 / features as f32).sqrt()),
            // Each batch norm's scale comes right after its kernel.
            _ if index % 3 == 1 && index < 3 * CHANNELS.len() => vec![1.0; count],
            _ => vec![0.0; count],
        }
    });
    tensors.collect()
}

/// The network for prediction: batch norm is a scale and a shift by then, which the convolution before it takes over.
pub(super) fn network(tensors: &Tensors, moments: &Moments, side: usize, n_classes: usize, mirror: bool) -> Cnn {
    let mut inputs = 3;
    let convolutions = CHANNELS.iter().enumerate().map(|(layer, &outputs)| {
        let [kernel, scale, shift] = [0, 1, 2].map(|part| &tensors[3 * layer + part]);
        let (means, variances) = (&moments.means[layer], &moments.variances[layer]);
        let factors: Vec<f32> = scale
            .iter()
            .zip(variances)
            .map(|(scale, variance)| (f64::from(*scale) / (f64::from(*variance) + EPSILON).sqrt()) as f32)
            .collect();
        let mut weights = vec![0.0; kernel.len()];
        for (index, weight) in kernel.iter().enumerate() {
            let (output, input, place) = (index / (9 * inputs), index / 9 % inputs, index % 9);
            weights[(place * inputs + input) * outputs + output] = weight * factors[output];
        }
        let bias = (0..outputs).map(|output| shift[output] - means[output] * factors[output]).collect();
        let convolution = Convolution { inputs, outputs, weights, bias };
        inputs = outputs;
        convolution
    });
    let convolutions = convolutions.collect();
    let [.., weights, bias] = &tensors[..] else { unreachable!("there is a last layer") };
    let head = Head { weights: weights.clone(), bias: bias.clone() };
    Cnn { side, n_classes, mirror, convolutions, head }
}
