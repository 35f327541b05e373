//! Bad input of every kind: counted, kept with its reason, and the pipeline goes on.

use driftmill_platform::kafka::{Outgoing, Producer};

use crate::harness::{Options, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_record_becomes_a_dead_letter_and_the_rest_goes_on() {
    let stack = Stack::start(Options { pipelines: &["loan"], sources: false, ..Options::default() }).await;
    let producer = Producer::new(&stack.kafka, std::time::Duration::from_millis(1)).unwrap();
    for payload in [&b"these bytes are no Avro"[..], b"", b"\xc3\x01\x00\x00\x00\x00\x00\x00\x00\x00\x02"] {
        let record = Outgoing { payload: payload.to_vec(), ..Outgoing::default() };
        producer.send("loan.raw", record).await.unwrap();
    }
    let header = "id,age,annual_income,credit_score,loan_amount,loan_duration_years,number_of_open_accounts,had_past_default,loan_approval\n";
    let good = "1,35,1000,500,2000,10,3,0,1\n2,,,,,10,,1,0\n";
    let wrong_type = "3,abc,1000,500,2000,10,3,0,1\n";
    let too_few = "4,35\n";
    let broken_rule = "5,35,1000,500,2000,10,3,7,1\n";
    let unknown_class = "6,35,1000,500,2000,10,3,0,9\n";
    let huge = format!("7,{},1000,500,2000,10,3,0,1\n", "9".repeat(10_000_000));
    let csv = [header, good, wrong_type, too_few, broken_rule, unknown_class, &huge, "8,36,1,2,3,4,5,1,1\n"].concat();
    let folder = stack.pipelines.parent().unwrap().to_owned();
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let from = write("broken.csv", &csv);
    let summary = stack.cli_ok(&["produce", "loan", "--source", "file", "--from", &from]).await;
    assert!(summary.contains("3 could not be read") && summary.contains("broken.csv:8"), "{summary}");

    stack.sql_becomes("SELECT count() FROM loan_features", "3").await;
    let reasons = "SELECT arraySort(groupArray(error)) FROM loan_dead_letters WHERE stage != 'source'";
    stack.sql_becomes(reasons, "['BrokenExpectation','NotAvro','NotAvro','UnknownClass','UnknownSchema']").await;
    stack.sql_becomes("SELECT count() FROM loan_dead_letters WHERE stage = 'source'", "3").await;
    let places = stack
        .sql("SELECT arrayStringConcat(groupArray(source), ' ') FROM loan_dead_letters WHERE stage = 'source'")
        .await;
    for line in [":4", ":5", ":8"] {
        assert!(places.contains(line), "{places}");
    }
    let kept = stack.sql("SELECT count() FROM loan_dead_letters WHERE stage = 'source' AND original != ''").await;
    assert_eq!(kept, "1", "the ten-megabyte row is kept in the object store");
    let accounted = "SELECT (SELECT count() FROM loan_features) + \
                     (SELECT count() FROM loan_dead_letters WHERE origin_topic = 'loan.raw')";
    stack.sql_becomes(accounted, "8").await;

    let empty = write("empty.csv", "");
    stack.cli_ok(&["produce", "loan", "--source", "file", "--from", &empty]).await;
    let unknown = write("unknown.csv", &format!("{},favourite_colour\n9,1,1,1,1,1,1,1,1,blue\n", header.trim_end()));
    stack.cli_ok(&["produce", "loan", "--source", "file", "--from", &unknown]).await;
    stack.sql_becomes("SELECT count() FROM loan_dead_letters WHERE message LIKE '%favourite_colour%'", "1").await;
}
