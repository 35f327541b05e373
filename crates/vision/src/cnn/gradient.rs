//! Loss and gradients of some images by `burn`. Numbers go in and come out as plain vectors, so another device is another
//! [`Processor`], and nothing else.

use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::module::{batch_norm_train, conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Tensor, TensorData};

use super::device::Processor;
use super::weights::{CHANNELS, EPSILON, Moments, Tensors, shapes};
use crate::Error;

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

/// Loss and gradient of a shard of images of that side.
pub(super) fn gradient(
    processor: &Processor,
    tensors: &Tensors,
    shard: Shard,
    side: usize,
    n_classes: usize,
) -> Result<Gradient, Error> {
    let device = processor.handle.clone();
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

    let (mut means, mut variances) = (Vec::new(), Vec::new());
    let mut map = Tensor::<4>::from_data(TensorData::new(shard.pixels, [count, 3, side, side]), &device);
    for (layer, (kernel, [scale, shift])) in kernels.iter().zip(&norms).enumerate() {
        map = conv2d(map, kernel.clone(), None, ConvOptions::new([1, 1], [1, 1], [1, 1], 1));
        let normed = batch_norm_train(map, scale.clone(), shift.clone(), EPSILON);
        means.push(normed.mean);
        variances.push(normed.variance);
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
    // What is asked for piece by piece would make the device wait for each.
    let mut all = Flat::default();
    all.push(loss);
    means.into_iter().chain(variances).for_each(|moment| all.push(moment));
    for (kernel, [scale, shift]) in kernels.iter().zip(&norms) {
        all.push_some(kernel.grad_remove(&mut gradients));
        all.push_some(scale.grad_remove(&mut gradients));
        all.push_some(shift.grad_remove(&mut gradients));
    }
    all.push_some(head.grad_remove(&mut gradients));
    all.push_some(bias.grad_remove(&mut gradients));
    let mut read = all.read()?.into_iter();
    let loss = read.next().into_iter().flatten().map(f64::from).sum();
    let means = read.by_ref().take(CHANNELS.len()).collect();
    let variances = read.by_ref().take(CHANNELS.len()).collect();
    Ok(Gradient { loss, moments: Moments { means, variances }, tensors: read.collect() })
}

/// Tensors one after the other, read in one go.
#[derive(Default)]
struct Flat {
    tensors: Vec<Tensor<1>>,
    lengths: Vec<usize>,
}

impl Flat {
    fn push<const D: usize>(&mut self, tensor: Tensor<D>) {
        let length = tensor.dims().into_iter().product();
        self.tensors.push(tensor.inner().reshape([length]));
        self.lengths.push(length);
    }

    /// A tensor that nothing depends on has no gradient.
    fn push_some<const D: usize>(&mut self, tensor: Option<Tensor<D>>) {
        match tensor {
            Some(tensor) => self.push(tensor),
            None => self.lengths.push(0),
        }
    }

    fn read(self) -> Result<Tensors, Error> {
        let data = Tensor::cat(self.tensors, 0).try_into_data().map_err(|error| Error::Device(error.to_string()))?;
        let mut values = data.iter::<f32>();
        Ok(self.lengths.into_iter().map(|length| values.by_ref().take(length).collect()).collect())
    }
}
