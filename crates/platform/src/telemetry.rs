//! Structured logs on standard error: text for people, JSON lines for machines.

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, fmt, prelude::*};

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends log lines to standard error, or appends them to `file`. `filter` is a tracing filter such as
/// `info,driftmill_platform=debug`. Called once, by the binary; an error says why the filter or the file is no good.
pub fn init(filter: &str, format: LogFormat, file: Option<std::fs::File>) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|e| format!("log filter `{filter}`: {e}"))?;
    let colours = file.is_none() && std::io::stderr().is_terminal();
    let writer = match file {
        Some(file) => fmt::writer::BoxMakeWriter::new(std::sync::Arc::new(file)),
        None => fmt::writer::BoxMakeWriter::new(std::io::stderr),
    };
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => {
            registry.with(fmt::layer().with_writer(writer).with_ansi(colours).with_target(false)).try_init()
        }
        LogFormat::Json => registry.with(fmt::layer().json().flatten_event(true).with_writer(writer)).try_init(),
    }
    .map_err(|e| e.to_string())
}
