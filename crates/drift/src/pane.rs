//! A pane: the profile of one contiguous range of offsets, the unit that is published and merged.

use crate::{
    layout::Layout,
    profile::{self, Profile, SparseProfile},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Why a pane cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A range that holds no offset.
    #[error("the pane {0} holds no offset: its end must lie after its start")]
    EmptyRange(PaneId),
    /// A pane of another model version.
    #[error("the pane {id} belongs to model version {found}, the window to {expected}")]
    OtherModel {
        /// The pane.
        id: PaneId,
        /// The window's version.
        expected: u64,
        /// The pane's version.
        found: u64,
    },
    /// Counts that do not fit.
    #[error("the pane {id}: {source}")]
    Profile {
        /// The pane.
        id: PaneId,
        /// What is wrong.
        source: profile::Error,
    },
    /// Bytes that are no pane.
    #[error("this is no stored pane: {0}")]
    Syntax(String),
}

/// Half-open range of offsets of one partition; it names a pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaneId {
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub from_offset: i64,
    /// The offset after the last.
    pub to_offset: i64,
}

impl std::fmt::Display for PaneId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}[{}..{})", self.partition, self.from_offset, self.to_offset)
    }
}

/// What a pane counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Records as they are ingested: features and labels.
    #[default]
    Records,
    /// Served predictions: the features that requests gave, and what the model answered.
    Predictions,
}

impl Stream {
    /// Its name, as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Predictions => "predictions",
        }
    }
}

/// The counts of one range of offsets under one model version.
#[derive(Debug, Clone, PartialEq)]
pub struct Pane {
    /// Which offsets.
    pub id: PaneId,
    /// The model version whose reference was counted over.
    pub model_version: u64,
    /// The counts of the rows that passed validation.
    pub profile: Profile,
    /// Records of the range that did not pass.
    pub rejected: u64,
    /// The latest event time seen, milliseconds since 1970 (UTC).
    pub max_event_time: i64,
}

/// What a stored pane says about itself before its counts are read: enough to find its layout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaneHeader {
    /// Which offsets.
    pub id: PaneId,
    /// The model version.
    pub model_version: u64,
    /// [`crate::ReferenceProfile::hash`] of the reference counted over.
    pub reference_hash: String,
    /// What was counted.
    #[serde(default)]
    pub stream: Stream,
    /// Records of the range that did not pass validation.
    #[serde(default)]
    pub rejected: u64,
    /// The latest event time seen, milliseconds since 1970 (UTC).
    pub max_event_time: i64,
}

#[derive(Serialize, Deserialize)]
struct StoredPane {
    #[serde(flatten)]
    header: PaneHeader,
    profile: SparseProfile,
}

impl Pane {
    /// Records of the range, good and bad.
    pub fn records(&self) -> u64 {
        self.profile.rows().saturating_add(self.rejected)
    }

    /// Adds the pane that goes on where this one ends.
    ///
    /// # Errors
    /// Another reference, or more rows than counters hold; nothing is added then.
    pub(crate) fn append(&mut self, next: &Self) -> Result<(), profile::Error> {
        self.profile.merge(&next.profile)?;
        self.id.to_offset = next.id.to_offset;
        self.rejected = self.rejected.saturating_add(next.rejected);
        self.max_event_time = self.max_event_time.max(next.max_event_time);
        Ok(())
    }

    /// The header of a stored pane.
    ///
    /// # Errors
    /// Bytes that are no pane.
    pub fn peek(json: &[u8]) -> Result<PaneHeader, Error> {
        serde_json::from_slice(json).map_err(|error| Error::Syntax(error.to_string()))
    }

    /// The stored form; equal panes give equal bytes.
    pub fn to_json(&self, stream: Stream) -> String {
        let header = PaneHeader {
            id: self.id,
            model_version: self.model_version,
            reference_hash: self.profile.layout().hash().to_owned(),
            stream,
            rejected: self.rejected,
            max_event_time: self.max_event_time,
        };
        // Text keys and integers: serialisation has no way to fail.
        serde_json::to_string(&StoredPane { header, profile: self.profile.to_sparse() }).unwrap_or_default()
    }

    /// Reads a stored pane, checking it against the layout it was counted over.
    ///
    /// # Errors
    /// Bytes that are no pane, an empty range, another reference, counts that do not add up.
    pub fn from_json(layout: &Arc<Layout>, json: &[u8]) -> Result<Self, Error> {
        let stored: StoredPane = serde_json::from_slice(json).map_err(|error| Error::Syntax(error.to_string()))?;
        let PaneHeader { id, model_version, reference_hash, rejected, max_event_time, .. } = stored.header;
        if id.from_offset >= id.to_offset {
            return Err(Error::EmptyRange(id));
        }
        if reference_hash != layout.hash() {
            let source = profile::Error::OtherReference { expected: layout.hash().to_owned(), found: reference_hash };
            return Err(Error::Profile { id, source });
        }
        let profile = Profile::from_sparse(layout, &stored.profile).map_err(|source| Error::Profile { id, source })?;
        Ok(Self { id, model_version, profile, rejected, max_event_time })
    }
}
