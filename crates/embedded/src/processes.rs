//! What can be said about another process of this machine.

/// Names a process for an error message: its id, and its command line where the system tells.
pub(crate) fn describe(pid: u32) -> String {
    match std::fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(raw) if !raw.is_empty() => {
            let words: Vec<_> = raw.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
            format!("process {pid} (`{}`)", words.join(" ").trim_end())
        }
        Ok(_) => format!("process {pid}"),
        Err(_) => format!("process {pid}, which has ended or belongs to another container"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_is_named_with_its_command() {
        let own = std::env::args().next().unwrap();
        let described = describe(std::process::id());
        assert!(described.contains(&own), "{described} should contain {own}");
    }

    #[test]
    fn a_process_that_is_gone_is_named_by_its_id() {
        assert!(describe(u32::MAX).starts_with("process 4294967295, which has ended"));
    }
}
