//! Loss and gradients of some images by `burn`: the only place that knows it. Numbers go in and come out as plain vectors,
//! so another device is another [`device`], and nothing else.

use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::module::{batch_norm_train, conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData};

use super::weights::{CHANNELS, EPSILON, Moments, Tensors, shapes};

/// Images to learn from in one go, on one thread.
pub(super) struct Shard {
    pub images: usize,
    /// `[image][channel][row][column]`, as [`super::inference::normalised`].
    pub pixels: Vec<f32>,
    /// `[image][class]`: probabilities to learn.
    pub targets: Vec<f32>,
    /// `[image][feature]` of the last layer: factors, 0 for those that are dropped.
    pub dropout: Vec<f32>,
}

/// What a shard says.
pub(super) struct Gradient {
    /// Summed over the images.
    pub loss: f64,
    /// Derivatives of that sum by the tensors.
    pub tensors: Tensors,
    pub moments: Moments,
}

/// What computes.
fn device() -> Device {
    Device::flex().autodiff()
}

/// Loss and gradient of a shard of images of that side.
pub(super) fn gradient(tensors: &Tensors, shard: Shard, side: usize, n_classes: usize) -> Gradient {
    let device = device();
    let count = shard.images;
    let shapes = shapes(n_classes);
    let data = |index: usize| TensorData::new(tensors[index].clone(), shapes[index].clone());
    let vector = |index: usize| Tensor::<1>::from_data(data(index), &device).require_grad();
    let kernels: Vec<Tensor<4>> =
        (0..CHANNELS.len()).map(|layer| Tensor::from_data(data(3 * layer), &device).require_grad()).collect();
    let norms: Vec<[Tensor<1>; 2]> =
        (0..CHANNELS.len()).map(|layer| [vector(3 * layer + 1), vector(3 * layer + 2)]).collect();
    let head = Tensor::<2>::from_data(data(shapes.len() - 2), &device).require_grad();
    let bias = vector(shapes.len() - 1);

    let mut moments = Moments { means: Vec::new(), variances: Vec::new() };
    let mut map = Tensor::<4>::from_data(TensorData::new(shard.pixels, [count, 3, side, side]), &device);
    for (layer, (kernel, [scale, shift])) in kernels.iter().zip(&norms).enumerate() {
        map = conv2d(map, kernel.clone(), None, ConvOptions::new([1, 1], [1, 1], [1, 1], 1));
        let normed = batch_norm_train(map, scale.clone(), shift.clone(), EPSILON);
        moments.means.push(values(normed.mean));
        moments.variances.push(values(normed.variance));
        map = relu(normed.output);
        if layer + 1 < CHANNELS.len() {
            map = max_pool2d(map, MaxPoolOptions::new([2, 2]).with_stride([2, 2]));
        }
    }
    let [_, channels, height, width] = map.dims();
    let flat = map.reshape([count, channels, height * width]);
    let features = Tensor::cat(vec![flat.clone().mean_dim(2), flat.max_dim(2)], 1).reshape([count, 2 * channels]);
    let dropout = Tensor::<2>::from_data(TensorData::new(shard.dropout, [count, 2 * channels]), &device);
    let logits = (features * dropout).matmul(head.clone()) + bias.clone().unsqueeze::<2>();
    let targets = Tensor::<2>::from_data(TensorData::new(shard.targets, [count, n_classes]), &device);
    let loss = (log_softmax(logits, 1) * targets).sum().neg();
    let mut gradients = loss.backward();
    let mut tensors = Vec::with_capacity(shapes.len());
    for (kernel, [scale, shift]) in kernels.iter().zip(&norms) {
        tensors.push(kernel.grad_remove(&mut gradients).map_or_else(Vec::new, values));
        tensors.push(scale.grad_remove(&mut gradients).map_or_else(Vec::new, values));
        tensors.push(shift.grad_remove(&mut gradients).map_or_else(Vec::new, values));
    }
    tensors.push(head.grad_remove(&mut gradients).map_or_else(Vec::new, values));
    tensors.push(bias.grad_remove(&mut gradients).map_or_else(Vec::new, values));
    let loss = values(loss).into_iter().map(f64::from).sum();
    Gradient { loss, tensors, moments }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
