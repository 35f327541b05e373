//! Prediction: direct convolutions over rows of channels, in an order of sums that nothing changes.

use super::{Cnn, Convolution};

/// Output channels that are computed together: what the compiler turns into vectors. Channels come in multiples of it.
pub(super) const LANES: usize = 8;
/// Pixels that are computed together, so that a weight is loaded once for all of them.
const PIXELS: usize = 4;

/// Brightness as the network sees it.
pub(super) fn normalised(byte: u8) -> f32 {
    (f32::from(byte) - 128.0) / 64.0
}

/// Writes the probabilities of an image that fits the network.
pub(super) fn predict(cnn: &Cnn, pixels: &[u8], out: &mut [f64]) {
    out.fill(0.0);
    add_softmax(&logits(cnn, pixels, false), out);
    if cnn.mirror {
        add_softmax(&logits(cnn, pixels, true), out);
        out.iter_mut().for_each(|probability| *probability /= 2.0);
    }
}

fn add_softmax(logits: &[f32], out: &mut [f64]) {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f64> = logits.iter().map(|logit| f64::from(logit - highest).exp()).collect();
    let total: f64 = exponentials.iter().sum();
    out.iter_mut().zip(exponentials).for_each(|(out, exponential)| *out += exponential / total);
}

fn logits(cnn: &Cnn, pixels: &[u8], mirrored: bool) -> Vec<f32> {
    let mut map = Map::new(cnn.side, 3);
    for (y, row) in pixels.chunks_exact(cnn.side * 3).enumerate() {
        for (x, pixel) in row.chunks_exact(3).enumerate() {
            let x = if mirrored { cnn.side - 1 - x } else { x };
            map.at(x, y).iter_mut().zip(pixel).for_each(|(value, byte)| *value = normalised(*byte));
        }
    }
    let last = cnn.convolutions.len() - 1;
    for (number, layer) in cnn.convolutions.iter().enumerate() {
        map = if number < last { convolve(&map, layer).halved() } else { convolve(&map, layer) };
    }
    let features = map.means_and_maxima();
    let mut logits = cnn.head.bias.clone();
    for (feature, weights) in features.iter().zip(cnn.head.weights.chunks_exact(cnn.n_classes)) {
        logits.iter_mut().zip(weights).for_each(|(logit, weight)| *logit += feature * weight);
    }
    logits
}

/// `side` x `side` pixels of channels, with a border of one pixel of zeros.
struct Map {
    side: usize,
    channels: usize,
    values: Vec<f32>,
}

impl Map {
    fn new(side: usize, channels: usize) -> Self {
        Self { side, channels, values: vec![0.0; (side + 2) * (side + 2) * channels] }
    }

    /// Where the pixel's channels begin; the border is at -1, here 0.
    fn offset(&self, x: usize, y: usize) -> usize {
        (y * (self.side + 2) + x) * self.channels
    }

    fn at(&mut self, x: usize, y: usize) -> &mut [f32] {
        let offset = self.offset(x + 1, y + 1);
        &mut self.values[offset..offset + self.channels]
    }

    fn pixel(&self, x: usize, y: usize) -> &[f32] {
        &self.values[self.offset(x + 1, y + 1)..][..self.channels]
    }

    /// The maximum of each 2 x 2 pixels; an odd last row or column is left out.
    fn halved(&self) -> Self {
        let mut half = Self::new(self.side / 2, self.channels);
        for y in 0..half.side {
            for x in 0..half.side {
                let [a, b, c, d] = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(i, j)| self.pixel(2 * x + i, 2 * y + j));
                for (channel, value) in half.at(x, y).iter_mut().enumerate() {
                    *value = a[channel].max(b[channel]).max(c[channel].max(d[channel]));
                }
            }
        }
        half
    }

    fn means_and_maxima(&self) -> Vec<f32> {
        let mut features = vec![0.0; 2 * self.channels];
        let (means, maxima) = features.split_at_mut(self.channels);
        for y in 0..self.side {
            for x in 0..self.side {
                for (channel, value) in self.pixel(x, y).iter().enumerate() {
                    means[channel] += value;
                    // After ReLU nothing is below 0.
                    maxima[channel] = value.max(maxima[channel]);
                }
            }
        }
        means.iter_mut().for_each(|mean| *mean /= (self.side * self.side) as f32);
        features
    }
}

/// The convolution and ReLU.
fn convolve(map: &Map, layer: &Convolution) -> Map {
    let mut out = Map::new(map.side, layer.outputs);
    for y in 0..map.side {
        for x in (0..map.side).step_by(PIXELS) {
            for first in (0..layer.outputs).step_by(LANES) {
                let sums = block(map, layer, x, y, first);
                for (step, sums) in sums.iter().enumerate().take(map.side - x) {
                    let place = &mut out.at(x + step, y)[first..first + LANES];
                    place.iter_mut().zip(sums).for_each(|(value, sum)| *value = sum.max(0.0));
                }
            }
        }
    }
    out
}

/// Output channels from `first` of the pixels from `x` of row `y`; pixels beyond the row repeat its last one.
fn block(map: &Map, layer: &Convolution, x: usize, y: usize, first: usize) -> [[f32; LANES]; PIXELS] {
    let mut sums = [[0.0; LANES]; PIXELS];
    for sums in &mut sums {
        sums.copy_from_slice(&layer.bias[first..first + LANES]);
    }
    // The three pixels above each other's left, middle and right lie side by side in memory.
    let length = 3 * map.channels;
    for row in 0..3 {
        let inputs: [&[f32]; PIXELS] =
            std::array::from_fn(|step| &map.values[map.offset((x + step).min(map.side - 1), y + row)..][..length]);
        let weights =
            layer.weights[row * length * layer.outputs..][..length * layer.outputs].chunks_exact(layer.outputs);
        for (input, weights) in weights.enumerate() {
            let weights = &weights[first..first + LANES];
            for (sums, inputs) in sums.iter_mut().zip(inputs) {
                let value = inputs[input];
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += value * weight;
                }
            }
        }
    }
    sums
}
