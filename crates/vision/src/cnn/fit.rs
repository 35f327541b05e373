//! Training: batches of changed images, a step down their gradient, and after every epoch a look at the images held out.
//!
//! A batch is cut into shards of at most 16 images, each computed by one thread with batch norm of its own, and their
//! gradients are summed in order: nothing depends on how many threads there are.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use rand_chacha::ChaCha8Rng;

use super::augment::augmented;
use super::device::Processor;
use super::gradient::{Gradient, Shard, gradient};
use super::optimiser::{AdamW, rate};
use super::weights::{CHANNELS, Moments, Tensors, initial, network, shapes};
use super::{Cnn, CnnParams, Epoch, MAX_CLASSES, SIDES, check_pixels};
use crate::{Error, parallel, random};

/// Images whose gradient one thread computes.
const SHARD: usize = 16;
/// Share of the running mean of the weights that a step leaves: its memory is some 30 steps.
const DECAY: f32 = 0.97;

/// Purposes of random streams, whose low 48 bits count; the initial weights have the streams from 0.
const HOLD_OUT: u64 = 1 << 48;
const ORDER: u64 = 2 << 48;
const CHANGE: u64 = 3 << 48;

impl CnnParams {
    /// Fits a network of classes `0..n_classes` to images of `side` x `side` RGB pixels. After every epoch `observe` is
    /// told; on a break no further epoch follows. With images held out the network is the one that was best on them from
    /// [`CnnParams::start_from_epoch`] on, else the last. The same images, parameters and seed give the same network on the
    /// same device.
    ///
    /// # Errors
    /// When a parameter is out of its range, images, labels and classes do not go together, the loss diverges, or there is
    /// no such device.
    pub fn fit(
        &self,
        images: &[&[u8]],
        side: usize,
        labels: &[usize],
        n_classes: usize,
        observe: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
    ) -> Result<Cnn, Error> {
        check(images, side, labels, n_classes)?;
        let held_out = hold_out(labels, n_classes, self.validation_fraction, self.seed);
        self.fit_holding_out(images, side, labels, n_classes, &held_out, observe)
    }

    /// The same with the images of these numbers held out, instead of a share drawn image by image: where several images are
    /// of one thing, all of them belong on one side.
    ///
    /// # Errors
    /// As [`Self::fit`], and when a number is not an image's or no image is left to train on.
    pub fn fit_holding_out(
        &self,
        images: &[&[u8]],
        side: usize,
        labels: &[usize],
        n_classes: usize,
        held_out: &[usize],
        observe: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
    ) -> Result<Cnn, Error> {
        self.check()?;
        check(images, side, labels, n_classes)?;
        let held_out: BTreeSet<usize> = held_out.iter().copied().collect();
        if let Some(&image) = held_out.last().filter(|image| **image >= images.len()) {
            return Err(Error::HeldOut { image, images: images.len() });
        }
        let mut train: Vec<usize> = (0..images.len()).filter(|image| !held_out.contains(image)).collect();
        if train.is_empty() {
            return Err(Error::TooFew(0));
        }
        let held_out: Vec<usize> = held_out.into_iter().collect();
        let processor = self.device.open()?;
        let threads = parallel::threads(self.n_jobs);
        let data = Data { params: self, processor: &processor, images, side, labels, n_classes };
        let batches = train.len().div_ceil(self.batch_size);
        let mut state = State::new(n_classes, self);
        let mut best: Option<(f64, usize, Cnn)> = None;
        for epoch in 1..=self.epochs {
            random::shuffle(&mut random::stream(self.seed, ORDER + epoch as u64), &mut train);
            let mut loss = 0.0;
            for batch in even_parts(&train, batches) {
                let rate = rate(self.learning_rate, state.steps, self.epochs * batches);
                loss += state.step(&data, batch, epoch, rate, threads)?;
            }
            let train_loss = loss / train.len() as f64;
            if !train_loss.is_finite() {
                return Err(Error::Diverged { epoch });
            }
            let cnn = network(&state.mean, &state.moments, side, n_classes, self.flip);
            let score = (!held_out.is_empty()).then(|| data.score(&cnn, &held_out, threads)).transpose()?;
            let told = ControlFlow::is_break(&observe(&Epoch {
                number: epoch,
                train_loss,
                validation_loss: score.map(|(loss, _)| loss),
                validation_accuracy: score.map(|(_, accuracy)| accuracy),
                device: processor.name.clone(),
            }));
            let loss = score.map_or(f64::NEG_INFINITY, |(loss, _)| loss);
            // Until patience counts, and where nothing is held out, the last network is the best.
            let early = held_out.is_empty() || epoch <= self.start_from_epoch;
            if early || best.as_ref().is_none_or(|(least, ..)| loss < *least) {
                best = Some((loss, epoch, cnn));
            }
            let since = best.as_ref().map_or(0, |(_, at, _)| epoch - at);
            if told || self.patience.is_some_and(|patience| since >= patience) {
                break;
            }
        }
        match best {
            Some((.., cnn)) if cnn.validate().is_ok() => Ok(cnn),
            _ => Err(Error::Diverged { epoch: self.epochs }),
        }
    }
}

fn check(images: &[&[u8]], side: usize, labels: &[usize], n_classes: usize) -> Result<(), Error> {
    if !SIDES.contains(&side) {
        return Err(Error::Parameter { name: "side", expected: "between 16 and 512", got: side.to_string() });
    }
    if !(2..=MAX_CLASSES).contains(&n_classes) {
        return Err(Error::Parameter {
            name: "n_classes",
            expected: "between 2 and 10000",
            got: n_classes.to_string(),
        });
    }
    if images.len() != labels.len() {
        return Err(Error::LengthMismatch { images: images.len(), labels: labels.len() });
    }
    if images.len() < 2 {
        return Err(Error::TooFew(images.len()));
    }
    if let Some(image) = labels.iter().position(|label| *label >= n_classes) {
        return Err(Error::LabelOutOfRange { image, label: labels[image], n_classes });
    }
    images.iter().enumerate().try_for_each(|(image, pixels)| check_pixels(image, pixels, side))
}

/// Images held out: the share of each class, rounded down.
fn hold_out(labels: &[usize], n_classes: usize, share: f64, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    random::shuffle(&mut random::stream(seed, HOLD_OUT), &mut order);
    let mut left = vec![0_usize; n_classes];
    labels.iter().for_each(|label| left[*label] += 1);
    left.iter_mut().for_each(|count| *count = (*count as f64 * share) as usize);
    order.retain(|&image| {
        let left = &mut left[labels[image]];
        *left > 0 && {
            *left -= 1;
            true
        }
    });
    order
}

/// Cuts into so many parts whose lengths differ by one at most.
fn even_parts<T>(items: &[T], parts: usize) -> impl Iterator<Item = &[T]> {
    (0..parts).map(move |part| &items[part * items.len() / parts..(part + 1) * items.len() / parts])
}

struct Data<'a> {
    params: &'a CnnParams,
    processor: &'a Processor,
    images: &'a [&'a [u8]],
    side: usize,
    labels: &'a [usize],
    n_classes: usize,
}

impl Data<'_> {
    fn shard(&self, images: &[usize], epoch: usize) -> Shard {
        let count = images.len();
        let (params, how) = (self.params, self.params.augmentation());
        let mut shard = Shard { images: count, pixels: Vec::new(), targets: Vec::new(), dropout: Vec::new() };
        let spread = params.label_smoothing as f32;
        for &image in images {
            // An image's changes depend on the epoch and its number, not on who is beside it.
            let stream = CHANGE + (epoch * self.images.len() + image) as u64;
            let mut rng = random::stream(params.seed, stream);
            shard.pixels.extend(augmented(self.images[image], self.side, &how, &mut rng));
            shard.targets.extend((0..self.n_classes).map(|class| {
                let own = if class == self.labels[image] { 1.0 - spread } else { 0.0 };
                own + spread / self.n_classes as f32
            }));
            shard.dropout.extend(dropout(params.dropout as f32, &mut rng));
        }
        shard
    }

    /// Log loss and accuracy of the images held out.
    fn score(&self, cnn: &Cnn, held_out: &[usize], threads: usize) -> Result<(f64, f64), Error> {
        let images: Vec<&[u8]> = held_out.iter().map(|&image| self.images[image]).collect();
        let rows = cnn.predict_proba(&images, Some(threads))?;
        let (mut loss, mut correct) = (0.0, 0_usize);
        for (row, &image) in rows.chunks_exact(self.n_classes).zip(held_out) {
            let own = row[self.labels[image]];
            loss -= own.max(f64::MIN_POSITIVE).ln();
            let highest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            correct += usize::from(row.iter().position(|value| *value == highest) == Some(self.labels[image]));
        }
        let count = held_out.len() as f64;
        Ok((loss / count, correct as f64 / count))
    }
}

fn dropout(share: f32, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let features = 2 * CHANNELS[CHANNELS.len() - 1];
    (0..features).map(|_| if random::unit(rng) < share { 0.0 } else { 1.0 / (1.0 - share) }).collect()
}

struct State {
    tensors: Tensors,
    /// Their running mean: it is steadier than they are, and generalises better.
    mean: Tensors,
    moments: Moments,
    optimiser: AdamW,
    steps: usize,
    /// Which tensors decay.
    weights: Vec<bool>,
}

impl State {
    fn new(n_classes: usize, params: &CnnParams) -> Self {
        let tensors = initial(n_classes, params.seed);
        Self {
            mean: tensors.clone(),
            moments: Moments::new(),
            optimiser: AdamW::new(&tensors, params.weight_decay),
            tensors,
            steps: 0,
            weights: shapes(n_classes).iter().map(|shape| shape.len() > 1).collect(),
        }
    }

    /// One step by a batch; returns its summed loss.
    fn step(
        &mut self,
        data: &Data<'_>,
        batch: &[usize],
        epoch: usize,
        rate: f64,
        threads: usize,
    ) -> Result<f64, Error> {
        let shards: Vec<&[usize]> = even_parts(batch, batch.len().div_ceil(SHARD)).collect();
        let gradients = parallel::map(shards.len(), threads, |shard| {
            gradient(data.processor, &self.tensors, data.shard(shards[shard], epoch), data.side, data.n_classes)
        });
        self.steps += 1;
        // At first the mean follows more quickly, or it would remember the initial weights.
        let decay = DECAY.min(self.steps as f32 / (self.steps + 9) as f32);
        let mut loss = 0.0;
        let mut sum: Tensors = self.tensors.iter().map(|tensor| vec![0.0; tensor.len()]).collect();
        let share = 1.0 / batch.len() as f32;
        for gradient in gradients {
            let Gradient { loss: shard_loss, tensors, moments } = gradient?;
            loss += shard_loss;
            for (sum, tensor) in sum.iter_mut().zip(&tensors) {
                sum.iter_mut().zip(tensor).for_each(|(sum, value)| *sum += share * value);
            }
            self.moments.approach(&moments, (1.0 - decay) / shards.len() as f32);
        }
        self.optimiser.step(&mut self.tensors, &sum, rate, |index| self.weights[index]);
        for (mean, tensor) in self.mean.iter_mut().zip(&self.tensors) {
            mean.iter_mut().zip(tensor).for_each(|(mean, value)| *mean += (1.0 - decay) * (value - *mean));
        }
        Ok(loss)
    }
}
