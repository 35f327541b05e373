//! What can go wrong, whose fault it is, and whether to try again.

use std::time::Duration;

/// Whether the same call may go through later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It will fail again until somebody changes something.
    Never,
    /// The server is away or overloaded: try again, slower each time, and not before it wants to be asked again.
    Later(Option<Duration>),
}

/// Why something was not mirrored. No text of it holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings name no server.
    #[error("{0}")]
    Settings(String),
    /// The server cannot be reached, or its answer broke off.
    #[error("MLflow, {doing}: {reason}")]
    Away {
        /// What was being done.
        doing: String,
        /// Why there is no answer.
        reason: String,
    },
    /// The server, or what stands before it, cannot answer now.
    #[error("MLflow, {doing}: {said}")]
    Busy {
        /// What was being done.
        doing: String,
        /// Its answer.
        said: Said,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The server said no.
    #[error("MLflow, {doing}: {said}{}", said.hint())]
    Refused {
        /// What was being done.
        doing: String,
        /// Its answer.
        said: Said,
    },
    /// What answered is no MLflow server that we know.
    #[error("MLflow, {doing}: {reason} (is MLFLOW_TRACKING_URI the address of an MLflow 3 server, with its path?)")]
    Answer {
        /// What was being done.
        doing: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The server takes no files.
    #[error(
        "MLflow keeps the files of {what} outside of itself, at {place}: start it with --serve-artifacts and \
         --artifacts-destination, and without --default-artifact-root, so that files can be sent to it"
    )]
    NoUpload {
        /// Whose files.
        what: String,
        /// Where it keeps them.
        place: String,
    },
    /// The experiment was deleted, and its name is not free.
    #[error(
        "MLflow's experiment `{name}` was deleted: restore it with `mlflow experiments restore --experiment-id {id}`, or \
         remove it for good with `mlflow gc --experiment-ids {id}`"
    )]
    Deleted {
        /// Its name.
        name: String,
        /// Its id.
        id: String,
    },
}

impl Error {
    /// Whether the same call may go through later.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Away { .. } => Retry::Later(None),
            Self::Busy { retry_after, .. } => Retry::Later(*retry_after),
            Self::Settings(_)
            | Self::Refused { .. }
            | Self::Answer { .. }
            | Self::NoUpload { .. }
            | Self::Deleted { .. } => Retry::Never,
        }
    }

    /// Whether the server refused with this error code of its own.
    pub(crate) fn is(&self, code: &str) -> bool {
        matches!(self, Self::Refused { said, .. } if said.code == code)
    }
}

/// An answer that is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// HTTP status.
    pub status: u16,
    /// MLflow's error code, such as `RESOURCE_DOES_NOT_EXIST`; empty when it was no MLflow that answered.
    pub code: String,
    /// The words that came with it.
    pub message: String,
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.status)?;
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

impl Said {
    /// What to do about it, in brackets.
    fn hint(&self) -> &'static str {
        match (self.status, self.code.is_empty()) {
            (401, _) => {
                " (set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, to a login that the \
                 server knows)"
            }
            (403, _) if self.message.contains("Host header") => {
                " (start the server with --allowed-hosts and the host of MLFLOW_TRACKING_URI)"
            }
            (403, _) => " (the login may not write there: give it EDIT on the experiment and on the registered model)",
            (413, _) => " (raise the limit of the proxy before the server)",
            (300..=399, _) => " (redirects are not followed: set MLFLOW_TRACKING_URI to where this leads)",
            (404 | 405, true) => {
                " (there is no such call: is MLFLOW_TRACKING_URI the address of an MLflow 3 server, with its path?)"
            }
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_to_do() {
        for (status, code, message, part) in [
            (401, "", "You are not authenticated.", "set MLFLOW_TRACKING_USERNAME"),
            (403, "PERMISSION_DENIED", "Permission denied", "give it EDIT"),
            (403, "", "Invalid Host header - possible DNS rebinding attack detected", "--allowed-hosts"),
            (404, "", "Not Found", "an MLflow 3 server"),
            (308, "", "", "redirects are not followed"),
        ] {
            let said = Said { status, code: code.to_owned(), message: message.to_owned() };
            let text = Error::Refused { doing: "find the experiment `iris`".to_owned(), said }.to_string();
            assert!(text.contains(message) && text.contains(part) && text.contains("`iris`"), "{text}");
        }
    }
}
