//! What goes wrong, when: a pure function of the seed and the number of the round.

use std::fmt;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

use super::proxy::Side;
use crate::harness::BrokerKind;

/// Records of a round are sent, and its faults begin, within this time.
pub const WINDOW: Duration = Duration::from_millis(700);

/// Who is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A `driftmill process` of its own.
    Processor(usize),
    /// The ClickHouse engine.
    Engine,
    /// Apache Kafka.
    Broker,
    /// `driftmill up`, with its broker and engine.
    Up,
    /// What connects a processor with ClickHouse.
    ClickHouseLink(usize),
    /// What connects a processor with the broker.
    KafkaLink(usize),
}

/// What is done to a target. Whatever it is, it ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// `kill -9`; started again after a while.
    Kill { down: Duration },
    /// SIGSTOP; SIGCONT after a while.
    Stop { lasts: Duration },
    /// Every connection is closed.
    Reset,
    /// Every connection is forgotten: open and silent for ever.
    Forget,
    /// One connection is cut in the middle of a request or an answer that is about `about`.
    Cut { side: Side, about: &'static str, keep: usize },
    /// Requests go through, their answers come only after a while.
    Withhold { lasts: Duration },
    /// Nothing goes either way for a while; then everything goes on, or the connections close.
    Blackhole { lasts: Duration, closes: bool },
    /// Every piece comes later.
    Delay { by: Duration, lasts: Duration },
    /// New connections are closed at once, and so are those there are.
    Refuse { lasts: Duration },
}

/// One fault of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// After the beginning of the round, or when the one before has left this target.
    pub at: Duration,
    pub target: Target,
    pub action: Action,
}

/// A round: what is sent, and what goes wrong meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    pub number: u64,
    pub records: usize,
    pub faults: Vec<Fault>,
}

/// The round `number` of the run with this seed.
pub fn round(seed: u64, number: u64, broker: BrokerKind) -> Round {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    let mut dice = Dice(rng);
    let records = dice.between(100, 1_500) as usize;
    let count = [1, 1, 1, 2, 2, 3][dice.below(6) as usize];
    let mut faults: Vec<Fault> = (0..count)
        .map(|_| {
            let at = dice.millis(0, WINDOW.as_millis() as u64);
            let (target, action) = dice.fault(broker);
            Fault { at, target, action }
        })
        .collect();
    faults.extend(rare(number, broker));
    faults.sort_by_key(|fault| (fault.at, fault.target));
    Round { number, records, faults }
}

/// Faults that take a minute to heal: a few in a thousand rounds.
fn rare(number: u64, broker: BrokerKind) -> Option<Fault> {
    let at = Duration::from_millis(300);
    match (number % 500, broker) {
        (50 | 300, _) => Some(Fault { at, target: Target::ClickHouseLink(0), action: Action::Forget }),
        (150 | 400, BrokerKind::Kafka) => Some(Fault { at, target: Target::KafkaLink(1), action: Action::Forget }),
        // Longer than an insert waits for its answer, so that it is sent again while the first one is still to come.
        (250, _) => Some(Fault { at, target: Target::Engine, action: Action::Stop { lasts: Duration::from_secs(65) } }),
        _ => None,
    }
}

struct Dice(ChaCha8Rng);

impl Dice {
    /// A number of `0..bound`; the bias of a remainder does not matter here.
    fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound
    }

    fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from)
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.between(from, to))
    }

    /// One of `choices`, each as often as its weight says.
    fn choose<T: Copy>(&mut self, choices: &[(u64, T)]) -> T {
        let mut drawn = self.below(choices.iter().map(|(weight, _)| weight).sum());
        for (weight, choice) in choices {
            if drawn < *weight {
                return *choice;
            }
            drawn -= weight;
        }
        unreachable!("a number below the sum of the weights falls into one of them")
    }

    fn fault(&mut self, broker: BrokerKind) -> (Target, Action) {
        let one = Target::Processor(0);
        let target = match broker {
            BrokerKind::Kafka => {
                let other = self.below(2) as usize;
                self.choose(&[
                    (24, Target::Processor(other)),
                    (14, Target::Engine),
                    (6, Target::Broker),
                    (36, Target::ClickHouseLink(other)),
                    (20, Target::KafkaLink(other)),
                ])
            }
            // The broker tells its clients its own address, so nothing can stand between.
            BrokerKind::Embedded => {
                self.choose(&[(20, one), (12, Target::Engine), (16, Target::Up), (30, Target::ClickHouseLink(0))])
            }
        };
        let action = match target {
            Target::Processor(_) | Target::Engine | Target::Broker | Target::Up => self.blow(target),
            Target::ClickHouseLink(_) => {
                let about = self.choose(&[
                    (10, "chaos_features_rows%60"),
                    (3, "chaos_dead_letters_rows%60"),
                    (5, "ledger"),
                    (2, ""),
                ]);
                self.weather(about, 400)
            }
            Target::KafkaLink(_) => self.weather("", 60),
        };
        (target, action)
    }

    fn blow(&mut self, target: Target) -> Action {
        if self.below(2) == 0 {
            return Action::Kill { down: self.millis(0, 600) };
        }
        // Longer than a consumer group waits for a member, so that its partitions move while it sleeps.
        let zombie = matches!(target, Target::Processor(_)) && self.below(12) == 0;
        Action::Stop { lasts: if zombie { self.millis(11_000, 13_000) } else { self.millis(50, 1_500) } }
    }

    fn weather(&mut self, about: &'static str, longest: u64) -> Action {
        let lasts = self.millis(50, 1_500);
        let keep = if self.below(2) == 0 { 0 } else { self.below(longest) as usize };
        let by = self.millis(1, 60);
        let closes = self.below(2) == 0;
        self.choose(&[
            (10, Action::Cut { side: Side::Answer, about, keep }),
            (6, Action::Cut { side: Side::Request, about, keep }),
            (6, Action::Reset),
            (5, Action::Withhold { lasts }),
            (4, Action::Blackhole { lasts, closes }),
            (3, Action::Delay { by, lasts }),
            (3, Action::Refuse { lasts }),
        ])
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Processor(i) => write!(f, "processor {i}"),
            Self::Engine => f.write_str("engine"),
            Self::Broker => f.write_str("broker"),
            Self::Up => f.write_str("driftmill up"),
            Self::ClickHouseLink(i) => write!(f, "processor {i} - ClickHouse"),
            Self::KafkaLink(i) => write!(f, "processor {i} - Kafka"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill { down } => write!(f, "killed, {} ms down", down.as_millis()),
            Self::Stop { lasts } => write!(f, "stopped for {} ms", lasts.as_millis()),
            Self::Reset => f.write_str("connections closed"),
            Self::Forget => f.write_str("connections forgotten"),
            Self::Cut { side, about, keep } => {
                let side = if *side == Side::Request { "a request" } else { "an answer" };
                let about = if about.is_empty() { "anything" } else { about.trim_end_matches("%60") };
                write!(f, "{side} about {about} cut after {keep} bytes")
            }
            Self::Withhold { lasts } => write!(f, "answers withheld for {} ms", lasts.as_millis()),
            Self::Blackhole { lasts, closes } => {
                let then = if *closes { "closed" } else { "resumed" };
                write!(f, "nothing carried for {} ms, then {then}", lasts.as_millis())
            }
            Self::Delay { by, lasts } => {
                write!(f, "everything {} ms late for {} ms", by.as_millis(), lasts.as_millis())
            }
            Self::Refuse { lasts } => write!(f, "connections refused for {} ms", lasts.as_millis()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{:>3} ms  {}: {}", self.at.as_millis(), self.target, self.action)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const BROKERS: [BrokerKind; 2] = [BrokerKind::Kafka, BrokerKind::Embedded];

    #[test]
    fn the_same_seed_gives_the_same_rounds_in_any_order() {
        for broker in BROKERS {
            let forth: Vec<Round> = (0..50).map(|n| round(7, n, broker)).collect();
            let mut back: Vec<Round> = (0..50).rev().map(|n| round(7, n, broker)).collect();
            back.reverse();
            assert_eq!(forth, back);
            assert_ne!(forth, (0..50).map(|n| round(8, n, broker)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn many_rounds_hit_everything_there_is_and_nothing_else() {
        for (broker, expected) in BROKERS.into_iter().zip([8, 4]) {
            let rounds: Vec<Round> = (0..1_000).map(|n| round(1, n, broker)).collect();
            let targets: BTreeSet<Target> = rounds.iter().flat_map(|r| &r.faults).map(|f| f.target).collect();
            assert_eq!(targets.len(), expected, "{targets:?}");
            assert!(rounds.iter().all(|r| !r.faults.is_empty() && r.records > 0));
            let zombie = |f: &Fault| matches!(f.action, Action::Stop { lasts } if lasts > Duration::from_secs(10));
            assert!(rounds.iter().flat_map(|r| &r.faults).any(zombie));
        }
    }
}
