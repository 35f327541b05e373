//! `driftmill test`.

use std::path::Path;
use std::process::{Command, Output};

use crate::harness::{binary, copy_pipelines, output, repository};

fn test(pipelines: &Path, arguments: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } =
        output(Command::new(binary()).arg("--pipelines").arg(pipelines).arg("test").args(arguments));
    let said = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (status.success(), said)
}

#[test]
fn the_bundled_pipelines_do_what_their_cases_say() {
    let (well, said) = test(&repository().join("pipelines"), &[]);
    assert!(well, "{said}");
    for case in ["ok      iris/fisher", "ok      loan/odd-requests"] {
        assert!(said.contains(case), "{said}");
    }
}

#[test]
fn a_case_is_one_file_whose_expectations_write_themselves_and_fail_when_the_pipeline_changes() {
    let folder = tempfile::tempdir().unwrap();
    let pipelines = copy_pipelines(&["loan"], folder.path());
    let case = pipelines.join("loan/tests/mine.yaml");
    let given = "# A comment that stays.\ngiven:\n  - { id: 1, annual_income: 1000, loan_amount: 500, loan_duration_years: 2, had_past_default: 0 }\n  - { id: 2, colour: blue }\n";
    std::fs::write(&case, given).unwrap();
    let (well, said) = test(&pipelines, &["loan/mine"]);
    assert!(!well && said.contains("no `expected`"), "{said}");

    let (well, said) = test(&pipelines, &["loan/mine", "--update"]);
    assert!(well && said.contains("2 records, 1 rows, 1 rejected"), "{said}");
    let written = std::fs::read_to_string(&case).unwrap();
    assert!(written.starts_with(given) && written.contains(r#""amount_to_income":0.5"#), "{written}");
    assert!(written.contains("UnknownKey"), "{written}");
    let (well, said) = test(&pipelines, &["loan"]);
    assert!(well, "{said}");
    let (_, _) = test(&pipelines, &["loan/mine", "--update"]);
    assert_eq!(std::fs::read_to_string(&case).unwrap(), written, "writing it again changes nothing");

    let file = pipelines.join("loan/pipeline.yaml");
    let changed = std::fs::read_to_string(&file).unwrap().replace("loan_amount / NULLIF", "2 * loan_amount / NULLIF");
    std::fs::write(&file, changed).unwrap();
    let (well, said) = test(&pipelines, &["loan/mine"]);
    assert!(!well && said.contains("record 1 (line 7): `amount_to_income` is 1.0, and 0.5 was expected"), "{said}");

    let (well, said) = test(&pipelines, &["loan/mien"]);
    assert!(!well && said.contains("did you mean `mine`"), "{said}");
}

#[test]
fn a_file_that_cannot_be_written_back_as_it_is_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let pipelines = copy_pipelines(&["loan"], folder.path());
    let case = pipelines.join("loan/tests/mine.yaml");
    let record = r#"{ "id": 1, "loan_duration_years": 2, "had_past_default": 0 }"#;
    for text in [
        format!("expected: []\n\"given\":\n  - {record}\n"),
        format!("{{\"given\": [{record}]}}"),
        format!("given:\n  - {record}\n\"expected\": []\n"),
    ] {
        std::fs::write(&case, &text).unwrap();
        let (well, said) = test(&pipelines, &["loan/mine", "--update"]);
        assert!(!well && said.contains("cannot be written into this file"), "{said}");
        assert_eq!(std::fs::read_to_string(&case).unwrap(), text);
    }
    for (text, wanted) in [("given: []\n", "a record or more"), ("", "exactly one of"), ("givn: 1\n", "givn")] {
        std::fs::write(&case, text).unwrap();
        let (well, said) = test(&pipelines, &["loan/mine"]);
        assert!(!well && said.contains(wanted) && said.contains("mine.yaml"), "{said}");
    }
    // Whatever time a record claims.
    let late = format!("given:\n  - {}\n", record.replace("{ ", "{ \"_at\": -9223372036854775808, "));
    std::fs::write(&case, late).unwrap();
    let (well, said) = test(&pipelines, &["loan/mine", "--update"]);
    assert!(well, "{said}");
}
