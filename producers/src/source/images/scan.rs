//! The files of a folder, in the order of their paths.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::format::Fault;
use crate::source::Fingerprint;

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Its path within the folder, with `/` between names.
    pub path: String,
    pub size: u64,
    /// When it was written last, milliseconds since 1970 UTC.
    pub modified: i64,
    /// Why it is not even opened.
    pub refused: Option<Fault>,
}

impl Found {
    /// What it is known by.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let (size, modified) = (self.size.to_le_bytes(), self.modified.to_le_bytes());
        Fingerprint::of([&b"file"[..], self.path.as_bytes(), &size, &modified])
    }

    /// The name of the folder it lies in.
    pub(super) fn label(&self) -> Option<&str> {
        let (folder, _) = self.path.rsplit_once('/')?;
        folder.rsplit('/').next()
    }

    /// Whether it is still what was found.
    pub(super) fn is_unchanged(&self, root: &Path) -> bool {
        fs::metadata(root.join(&self.path)).is_ok_and(|now| (now.len(), modified(&now)) == (self.size, self.modified))
    }
}

/// The files in `root`, an absolute path without links, by path; `Err` names what cannot be looked at.
pub(super) fn scan(root: &Path, recursive: bool) -> Result<Vec<Found>, (PathBuf, io::Error)> {
    let (mut found, mut folders) = (Vec::new(), vec![(root.to_owned(), String::new())]);
    while let Some((folder, within)) = folders.pop() {
        let failed = |error| (folder.clone(), error);
        let entries = match fs::read_dir(&folder) {
            // It was there when its parent was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound && folder != root => continue,
            // The others can be read all the same.
            Err(error) if folder != root => {
                let refused = Some(Fault::Unreadable(error.kind()));
                found.push(Found { path: within, size: 0, modified: 0, refused });
                continue;
            }
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            // A name that is no UTF-8 is shown with replacements, and cannot be found again by it: it is refused below.
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let path = if within.is_empty() { name } else { format!("{within}/{name}") };
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                if recursive {
                    folders.push((entry.path(), path));
                }
                continue;
            }
            found.extend(file(root, path, kind.is_symlink()));
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// A file, or a link to one; `None` for what is neither.
fn file(root: &Path, path: String, is_link: bool) -> Option<Found> {
    let refused = |path, fault| Some(Found { path, size: 0, modified: 0, refused: Some(fault) });
    let full = root.join(&path);
    if is_link {
        match full.canonicalize() {
            Ok(target) if !target.starts_with(root) => return refused(path, Fault::Elsewhere),
            // Folders inside are read where they are.
            Ok(target) if target.is_dir() => return None,
            Ok(_) => {}
            Err(_) => return refused(path, Fault::Dangling),
        }
    }
    match fs::metadata(&full) {
        Ok(metadata) if metadata.is_file() => {
            Some(Found { path, size: metadata.len(), modified: modified(&metadata), refused: None })
        }
        // Sockets and pipes would be waited for.
        Ok(_) => refused(path, Fault::NoFile),
        Err(error) if full.to_str().is_none() || path.contains('\u{fffd}') => {
            refused(path, Fault::Unreadable(error.kind()))
        }
        // It is gone already.
        Err(_) => None,
    }
}

fn modified(metadata: &Metadata) -> i64 {
    let at = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    at.and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or_default()
}
