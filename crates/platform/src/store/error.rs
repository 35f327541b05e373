//! What an object store could not do, for people: where, why, and what to change.

use crate::error::{Retry, Retryable};

/// Why an object could not be kept or fetched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL names no store this build knows, or the settings beside it do not do.
    #[error("object store `{url}`: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// There is no object of that hash.
    #[error(
        "object {hash} is not in {place}: restore it from a backup, or name the store that has it (DRIFTMILL_OBJECT_STORE)"
    )]
    Missing {
        /// The hash asked for.
        hash: String,
        /// The store.
        place: String,
    },
    /// There is no such bucket.
    #[error("{place}: there is no such bucket; create it, or correct DRIFTMILL_OBJECT_STORE or AWS_ENDPOINT_URL")]
    NoBucket {
        /// The store.
        place: String,
    },
    /// The store answered, and will not do it for us.
    #[error("{place} refuses it ({reason}): {hint}")]
    Refused {
        /// The store.
        place: String,
        /// Its own words.
        reason: String,
        /// What to change.
        hint: &'static str,
    },
    /// The store did not answer, or could not do it now.
    #[error("{place} did not do it: {reason}")]
    Away {
        /// The store.
        place: String,
        /// What happened.
        reason: String,
    },
    /// Nobody gave a key, and this machine has none of its own.
    #[error(
        "{place}: there is no key for it ({reason}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_PROFILE and \
         the files in ~/.aws are not read)"
    )]
    NoKey {
        /// The store.
        place: String,
        /// What happened when the machine was asked.
        reason: String,
    },
    /// What came back is not what was put.
    #[error("object {wanted} came back with the hash {found}: the store is damaged, restore the object from a backup")]
    Corrupt {
        /// The hash asked for.
        wanted: String,
        /// The hash of what came.
        found: String,
    },
    /// A folder is no server.
    #[error("{place} is a folder, to which there are no links: export the files with --to, and pass them on")]
    NoLinks {
        /// The store.
        place: String,
    },
}

impl Retryable for Error {
    fn retry(&self) -> Retry {
        match self {
            Self::Away { .. } | Self::NoKey { .. } => Retry::Later,
            Self::Url { .. }
            | Self::Missing { .. }
            | Self::NoBucket { .. }
            | Self::Refused { .. }
            | Self::Corrupt { .. }
            | Self::NoLinks { .. } => Retry::Never,
        }
    }
}

impl Error {
    /// What the failed call on the object `hash` of the store at `place` comes to.
    pub(super) fn of(error: &object_store::Error, place: &str, hash: &str) -> Self {
        use object_store::Error as E;
        let place = place.to_owned();
        let text = error.to_string();
        let code = tag(&text, "Code");
        let reason = match (code, tag(&text, "Message")) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code.to_owned(),
            // The one who answered may be a proxy, with a page.
            (None, _) => {
                deepest(error).split(['<', '\n']).next().unwrap_or_default().trim_end_matches([' ', ':']).to_owned()
            }
        };
        if let Some(hint) = code.and_then(hint) {
            return Self::Refused { place, reason, hint };
        }
        match error {
            _ if code == Some("NoSuchBucket") => Self::NoBucket { place },
            E::NotFound { .. } => Self::Missing { hash: hash.to_owned(), place },
            E::PermissionDenied { .. } | E::Unauthenticated { .. } => {
                let hint =
                    if place.starts_with("s3:") { KEYS } else { "give the user of this process the right to it" };
                Self::Refused { place, reason, hint }
            }
            // A redirect without a target is how AWS tells of another region.
            _ if text.contains("incorrectly configured region") => Self::Refused { place, reason, hint: REGION },
            _ => Self::Away { place, reason },
        }
    }
}

const KEYS: &str = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN if the key is a temporary one, and \
                    what the key may do (docs/object-store.md has the rights it takes)";
const REGION: &str = "set AWS_REGION to the region of the bucket";

/// What to change, by the code of S3's answer; `None` for codes that tell of no mistake of ours.
fn hint(code: &str) -> Option<&'static str> {
    Some(match code {
        "InvalidAccessKeyId" => "it does not know the key in AWS_ACCESS_KEY_ID; give one of this server's",
        "SignatureDoesNotMatch" => "AWS_SECRET_ACCESS_KEY is not the secret of the key in AWS_ACCESS_KEY_ID",
        "ExpiredToken" | "InvalidToken" => {
            "the temporary key is over: set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN anew"
        }
        "RequestTimeTooSkewed" => "the clocks of this machine and of the server are too far apart: set them",
        "AccessDenied" | "AllAccessDisabled" => "the key lacks rights: docs/object-store.md has those it takes",
        "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException" => REGION,
        _ => return None,
    })
}

/// Text of an element of an XML answer.
fn tag<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

/// The cause of all causes: those above it tell of the library's layers, and of addresses.
pub(super) fn deepest(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// The server knows no conditional put.
pub(super) fn without_condition(error: &object_store::Error) -> bool {
    match error {
        object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. } => true,
        object_store::Error::Generic { .. } => tag(&error.to_string(), "Code") == Some("NotImplemented"),
        _ => false,
    }
}

/// The upload in parts that the call is about is not there: completed, ended or lost.
pub(super) fn is_forgotten_upload(error: &object_store::Error) -> bool {
    tag(&error.to_string(), "Code") == Some("NoSuchUpload")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: &str) -> Error {
        let body =
            format!("403 Forbidden: <Error><Code>{code}</Code><Message>no</Message><Secret>s3cr3t</Secret></Error>");
        let error = object_store::Error::PermissionDenied { path: "p".to_owned(), source: body.into() };
        Error::of(&error, "s3://models", "h")
    }

    #[test]
    fn a_refusal_says_which_setting_to_look_at_and_nothing_else_of_the_answer() {
        for (code, wanted) in [
            ("InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
            ("SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
            ("ExpiredToken", "AWS_SESSION_TOKEN"),
            ("AccessDenied", "docs/object-store.md"),
            ("AuthorizationHeaderMalformed", "AWS_REGION"),
            ("RequestTimeTooSkewed", "clocks"),
            ("SomethingNew", "AWS_SECRET_ACCESS_KEY"),
        ] {
            let error = answered(code);
            let text = error.to_string();
            assert!(text.contains(wanted) && text.contains(code) && !text.contains("s3cr3t"), "{text}");
            assert_eq!(error.retry(), Retry::Never);
        }
    }

    #[test]
    fn an_upload_that_is_not_there_is_told_from_a_bucket_that_is_not() {
        let missing = |code: &str| object_store::Error::NotFound {
            path: "p".to_owned(),
            source: format!("404: <Error><Code>{code}</Code></Error>").into(),
        };
        assert!(is_forgotten_upload(&missing("NoSuchUpload")) && !is_forgotten_upload(&missing("NoSuchBucket")));
    }

    #[test]
    fn an_overloaded_server_is_asked_again() {
        let source = "503: <Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>";
        let error = object_store::Error::Generic { store: "S3", source: source.into() };
        let error = Error::of(&error, "s3://models", "h");
        assert_eq!(error.retry(), Retry::Later);
        assert!(error.to_string().contains("Reduce your request rate"), "{error}");
    }
}
