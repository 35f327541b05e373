//! What to do about a dead letter.

/// What to do about letters of this stage and kind in `pipeline`.
pub fn advice(pipeline: &str, stage: &str, kind: &str) -> String {
    let replay = format!("`driftmill dead-letters replay {pipeline} --kind {kind}`");
    match (stage, kind) {
        ("source", _) => format!(
            "it never reached the raw topic, so there is no position to replay it at. Write the mended line into a file of \
             its own and send that: `driftmill produce {pipeline} --source NAME --from FILE`"
        ),
        (_, "NotAvro") => format!(
            "its sender does not frame records as this pipeline reads them (Avro single objects, or the Confluent wire \
             format): mend the sender and send the record again. A replay ({replay}) helps only if framings change"
        ),
        (_, "UnknownSchema") => format!(
            "let the schema it was written with be known: set DRIFTMILL_SCHEMA_REGISTRY, or run `driftmill produce` with that \
             schema once, which announces it; then {replay}"
        ),
        (_, "Unreadable") => format!(
            "its sender writes with a schema that the pipeline's cannot read. If the pipeline's is to change, mend its `.avsc` \
             (a default for what may be missing), then {replay}; else its sender has to"
        ),
        (_, "Undecodable") => format!(
            "its bytes do not fit the schema it names. If the pipeline's schema is wrong, mend it, then {replay}; else its \
             sender is, and has to send the record again"
        ),
        (_, "UnreadableImage") => {
            format!(
                "its image is damaged or of a format that is not read here: its sender has to send a whole one; once formats change, {replay}"
            )
        }
        (_, "UnknownClass") => {
            format!("if the class is right, add it to `label.classes` in the pipeline file, then {replay}")
        }
        (_, "BrokenExpectation") => {
            format!("if the record is right, mend the expectation in the pipeline file, then {replay}")
        }
        // Somebody else's kind, which may be any text: it does not become part of a command.
        _ => format!("mend what the reason names, then `driftmill dead-letters replay {pipeline}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_says_what_to_mend_and_a_source_is_never_told_to_replay() {
        for kind in [
            "NotAvro",
            "UnknownSchema",
            "Unreadable",
            "Undecodable",
            "UnreadableImage",
            "UnknownClass",
            "BrokenExpectation",
        ] {
            let told = advice("iris", "decode", kind);
            assert!(told.contains(&format!("dead-letters replay iris --kind {kind}")), "{told}");
        }
        assert!(!advice("iris", "decode", "x; reboot").contains("reboot"));
        let told = advice("iris", "source", "WrongType");
        assert!(told.contains("produce iris --source") && !told.contains("dead-letters replay"), "{told}");
    }
}
