//! A log in memory that loses what a real one may lose. It does a bounded number of steps, then stands still as for a
//! process that was killed; which messages arrive, and when they are acknowledged, is drawn from a seed.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use driftmill_platform::kafka::Outgoing;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Seen, Sink};
use crate::Error;

#[derive(Clone)]
pub(crate) struct Memory(Arc<Mutex<State>>);

struct State {
    topics: BTreeMap<String, Vec<Partition>>,
    random: ChaCha8Rng,
    steps: u64,
    refusals: Vec<u64>,
    started: u64,
}

#[derive(Default)]
struct Partition {
    stored: Vec<Outgoing>,
    /// Started and not stored, with the numbers that acknowledgements wait for.
    waiting: VecDeque<(u64, Outgoing)>,
    offsets: BTreeMap<u64, i64>,
}

impl Memory {
    /// Topics with their numbers of partitions, and a seed.
    pub(crate) fn new(topics: &[(&str, usize)], seed: u64) -> Self {
        let topics = topics
            .iter()
            .map(|(name, partitions)| ((*name).to_owned(), (0..*partitions).map(|_| Partition::default()).collect()))
            .collect();
        let random = ChaCha8Rng::seed_from_u64(seed);
        Self(Arc::new(Mutex::new(State { topics, random, steps: u64::MAX, refusals: Vec::new(), started: 0 })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Does `steps` more, then nothing: a step is a message taken, stored or acknowledged.
    pub(crate) fn stop_after(&self, steps: u64) {
        self.state().steps = steps;
    }

    /// Whether it stands still.
    pub(crate) fn stands_still(&self) -> bool {
        self.state().steps == 0
    }

    /// Fails the message with that number, counted from now.
    pub(crate) fn refuse(&self, number: u64) {
        let mut state = self.state();
        let number = state.started + number;
        state.refusals.push(number);
    }

    /// What a killed producer leaves behind: of each partition some of what was on its way arrives, the rest is lost.
    pub(crate) fn crash(&self) {
        let mut state = self.state();
        let State { topics, random, .. } = &mut *state;
        for partition in topics.values_mut().flatten() {
            let arriving = random.random_range(0..=partition.waiting.len());
            let arrived: Vec<_> = partition.waiting.drain(..arriving).map(|(_, message)| message).collect();
            partition.stored.extend(arrived);
            partition.waiting.clear();
        }
        state.steps = u64::MAX;
    }

    /// Forgets a topic's messages, as if it had been made anew.
    pub(crate) fn make_anew(&self, topic: &str) {
        self.state().topics.get_mut(topic).unwrap().iter_mut().for_each(|partition| *partition = Partition::default());
    }

    /// Everything stored in a topic, by partition.
    pub(crate) fn stored(&self, topic: &str) -> Vec<Vec<Outgoing>> {
        self.state().topics[topic].iter().map(|partition| partition.stored.clone()).collect()
    }
}

impl State {
    fn step(&mut self) -> bool {
        if self.steps == 0 {
            return false;
        }
        self.steps -= 1;
        true
    }

    /// Stores the messages of one partition up to `last`.
    fn store(&mut self, topic: &str, partition: usize, last: u64) -> bool {
        loop {
            let found = &self.topics[topic][partition];
            if found.waiting.front().is_none_or(|(number, _)| *number > last) {
                return true;
            }
            if !self.step() {
                return false;
            }
            let found = &mut self.topics.get_mut(topic).unwrap()[partition];
            let (number, message) = found.waiting.pop_front().unwrap();
            found.offsets.insert(number, found.stored.len() as i64);
            found.stored.push(message);
        }
    }
}

pub(crate) struct Waiting {
    memory: Memory,
    topic: String,
    partition: usize,
    number: u64,
}

impl Future for Waiting {
    type Output = Result<(i32, i64), Error>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.memory.state();
        if state.refusals.contains(&self.number) {
            return Poll::Ready(Err(Error::Stalled(self.topic.clone())));
        }
        // Nobody wakes this again: it stands still until the test gives up waiting, as for a dead process.
        if !state.store(&self.topic, self.partition, self.number) || !state.step() {
            return Poll::Pending;
        }
        let offset = state.topics[&self.topic][self.partition].offsets[&self.number];
        Poll::Ready(Ok((self.partition as i32, offset)))
    }
}

impl Sink for Memory {
    type Acknowledgement = Waiting;

    async fn ends(&self, topic: &str) -> Result<Vec<i64>, Error> {
        let state = self.state();
        let found = state.topics.get(topic);
        Ok(found.map_or_else(Vec::new, |partitions| partitions.iter().map(|p| p.stored.len() as i64).collect()))
    }

    async fn read(
        &self,
        topic: &str,
        from: &[i64],
        to: &[i64],
        visit: &mut (dyn FnMut(Seen<'_>) + Send),
    ) -> Result<(), Error> {
        for (partition, messages) in self.stored(topic).iter().enumerate() {
            for offset in from[partition]..to[partition] {
                let message = &messages[offset as usize];
                visit(Seen { partition, offset, headers: &message.headers, payload: &message.payload });
            }
        }
        Ok(())
    }

    async fn start(&self, topic: &str, message: Outgoing) -> Result<Waiting, Error> {
        let started = {
            let mut state = self.state();
            if state.step() {
                state.started += 1;
                let number = state.started;
                let partition = message.partition.unwrap() as usize;
                if !state.refusals.contains(&number) {
                    state.topics.get_mut(topic).unwrap()[partition].waiting.push_back((number, message));
                }
                if state.random.random_bool(0.3) {
                    let any = state.topics[topic].len();
                    let other = state.random.random_range(0..any);
                    let last = state.random.random_range(0..=number);
                    state.store(topic, other, last);
                }
                Some(Waiting { memory: self.clone(), topic: topic.to_owned(), partition, number })
            } else {
                None
            }
        };
        match started {
            Some(waiting) => Ok(waiting),
            None => std::future::pending().await,
        }
    }
}
