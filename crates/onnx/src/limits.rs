//! What a file may cost. An empty message takes two bytes in a file and a hundred times that in memory, so messages are
//! counted before any of them is read; everything else takes at most a few times its bytes.

use std::cell::Cell;

use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::Error;

/// The longest file.
const BYTES: usize = 512 << 20;
/// The most nodes, attributes, tensors and the like.
const MESSAGES: usize = 65_536;
/// The most numbers that a graph's operators may make, all together, in words of 8 bytes: what the longest file takes.
const WORK: usize = BYTES / 8;

/// What the operators of one graph may still make.
pub(crate) struct Budget(Cell<usize>);

impl Budget {
    pub fn new() -> Self {
        Self(Cell::new(WORK))
    }

    /// Takes from it, before memory is asked for.
    pub fn spend(&self, amount: usize) -> Result<(), Error> {
        match self.0.get().checked_sub(amount) {
            Some(left) => {
                self.0.set(left);
                Ok(())
            }
            None => Err(Error::TooLarge { what: "operators that make more numbers", limit: WORK }),
        }
    }
}

/// Refuses a file that would take memory out of proportion.
pub(crate) fn check(bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() > BYTES {
        return Err(Error::TooLarge { what: "more bytes", limit: BYTES });
    }
    let mut left = MESSAGES;
    count(bytes, Level::Model, &mut left)
}

/// Where messages of which fields are counted.
#[derive(Clone, Copy)]
enum Level {
    Model,
    Graph,
    Node,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Leaf,
}

impl Level {
    /// What the message in a field is, if it is one.
    fn field(self, tag: u32) -> Option<Self> {
        match (self, tag) {
            (Self::Model, 7) => Some(Self::Graph),
            (Self::Model, 8 | 14) | (Self::Graph, 5) | (Self::Node, 5) | (Self::Shape, 1) => Some(Self::Leaf),
            (Self::Graph, 1) => Some(Self::Node),
            (Self::Graph, 11 | 12) => Some(Self::ValueInfo),
            (Self::ValueInfo, 2) => Some(Self::Type),
            (Self::Type, 1) => Some(Self::TensorType),
            (Self::TensorType, 2) => Some(Self::Shape),
            _ => None,
        }
    }
}

fn count(mut bytes: &[u8], level: Level, left: &mut usize) -> Result<(), Error> {
    let decode = |error: prost::DecodeError| Error::Decode(error.to_string());
    while bytes.has_remaining() {
        let (tag, wire_type) = decode_key(&mut bytes).map_err(decode)?;
        let (Some(inner), WireType::LengthDelimited) = (level.field(tag), wire_type) else {
            skip_field(wire_type, tag, &mut bytes, DecodeContext::default()).map_err(decode)?;
            continue;
        };
        let length = decode_varint(&mut bytes).map_err(decode)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some((message, rest)) = bytes.split_at_checked(length) else {
            return Err(Error::Decode("a message ends before its length".to_owned()));
        };
        *left = left
            .checked_sub(1)
            .ok_or(Error::TooLarge { what: "more nodes, attributes and tensors", limit: MESSAGES })?;
        count(message, inner, left)?;
        bytes = rest;
    }
    Ok(())
}
