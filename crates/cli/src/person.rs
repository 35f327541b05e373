//! Who gives a command, for the record.

/// The user of this machine, as the environment names one.
pub fn who() -> String {
    match ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty())) {
        Some(user) => format!("{user}, by cli"),
        None => "cli".to_owned(),
    }
}
