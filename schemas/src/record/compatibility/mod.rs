//! Whether a new version of a record schema may be written beside the earlier ones, and in people's words why not.
//!
//! ```text
//! BACKWARD   the new schema reads what the last version wrote      restart processors first, then producers
//! FORWARD    the last version reads what the new schema writes     restart producers first, then processors
//! FULL       both                                                  in any order
//! …_TRANSITIVE                                                     the same with every earlier version: replays, too
//! ```

mod resolve;
#[cfg(test)]
mod tests;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use resolve::{Fault, Kind, faults};

use apache_avro::Schema;

use super::{Error, RecordSchema};

/// Which earlier versions a new one is compared with, and in which direction: the seven modes of Confluent's registry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    /// Nothing is compared.
    None,
    /// The new schema reads what the last version wrote.
    Backward,
    /// The new schema reads what every version wrote.
    BackwardTransitive,
    /// The last version reads what the new schema writes.
    Forward,
    /// Every version reads what the new schema writes.
    ForwardTransitive,
    /// Both, with the last version.
    Full,
    /// Both, with every version. The default: whichever of producers and processors is restarted first, and however old
    /// the records are that a processor reads again, each of them can be read.
    #[default]
    FullTransitive,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Backward,
        Self::BackwardTransitive,
        Self::Forward,
        Self::ForwardTransitive,
        Self::Full,
        Self::FullTransitive,
    ];

    /// Its name in pipeline files and registries.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    /// The mode of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// Whether a new version is compared with every earlier one.
    pub fn is_transitive(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }

    fn directions(self) -> &'static [Direction] {
        match self {
            Self::None => &[],
            Self::Backward | Self::BackwardTransitive => &[Direction::Backward],
            Self::Forward | Self::ForwardTransitive => &[Direction::Forward],
            Self::Full | Self::FullTransitive => &[Direction::Backward, Direction::Forward],
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An earlier version of a schema. Any Avro schema may be one, not only those that pipelines can hold.
#[derive(Debug, Clone)]
pub struct Version {
    /// Its number, from 1.
    pub number: u32,
    avro: Schema,
}

impl Version {
    /// Parses version `number`.
    pub fn parse(number: u32, text: &str) -> Result<Self, Error> {
        let avro = Schema::parse_str(text).map_err(|e| Error::Avro(e.to_string()))?;
        Ok(Self { number, avro })
    }
}

/// Who could not read whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// The new schema could not read what an earlier version wrote.
    Backward,
    /// An earlier version could not read what the new schema writes.
    Forward,
}

/// One reason why a new schema is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incompatibility {
    /// The earlier version, from 1.
    pub version: u32,
    /// Who could not read whom.
    pub direction: Direction,
    /// What stands in the way.
    pub fault: Fault,
}

impl fmt::Display for Incompatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.version;
        let place = &self.fault.place;
        match (self.direction, &self.fault.kind) {
            (Direction::Backward, Kind::Missing) => write!(
                f,
                "{place} is new and has no default, so that records of version {version} could not be read: give it a default"
            ),
            (Direction::Forward, Kind::Missing) => write!(
                f,
                "{place} is gone, and whoever reads with version {version} needs it, because it has no default there: keep it"
            ),
            (Direction::Backward, kind) => write!(f, "{place}, records of version {version}: {}", kind.told()),
            (Direction::Forward, kind) => {
                write!(f, "{place}, whoever reads with version {version}: {}", kind.told())
            }
        }
    }
}

/// Compares `new` with the versions so far, the oldest first. The error holds every reason, not only
/// the first; the same reason against several versions is given once, against the newest of them.
pub fn check(mode: Mode, versions: &[Version], new: &RecordSchema) -> Result<(), Vec<Incompatibility>> {
    let compared = if mode.is_transitive() { versions } else { &versions[versions.len().saturating_sub(1)..] };
    let mut found: Vec<Incompatibility> = Vec::new();
    for version in compared.iter().rev() {
        for &direction in mode.directions() {
            let (writer, reader) = match direction {
                Direction::Backward => (&version.avro, new.avro()),
                Direction::Forward => (new.avro(), &version.avro),
            };
            for fault in faults(writer, reader) {
                if !found.iter().any(|known| known.direction == direction && known.fault == fault) {
                    found.push(Incompatibility { version: version.number, direction, fault });
                }
            }
        }
    }
    if found.is_empty() { Ok(()) } else { Err(found) }
}

/// The mildest mode besides `mode` under which the same change would pass, if there is one but [`Mode::None`]: what to write
/// into the pipeline file by somebody who knows in which order everything is restarted.
pub fn milder(mode: Mode, versions: &[Version], new: &RecordSchema) -> Option<Mode> {
    let candidates: &[Mode] = match mode {
        Mode::FullTransitive => {
            &[Mode::BackwardTransitive, Mode::ForwardTransitive, Mode::Full, Mode::Backward, Mode::Forward]
        }
        Mode::Full => &[Mode::Backward, Mode::Forward],
        Mode::BackwardTransitive => &[Mode::Backward],
        Mode::ForwardTransitive => &[Mode::Forward],
        _ => &[],
    };
    candidates.iter().copied().find(|milder| check(*milder, versions, new).is_ok())
}
