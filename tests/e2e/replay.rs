//! Dead letters that are run once more: each becomes a row at the position its record had, once, whatever happens meanwhile.

use std::process::Output;
use std::time::Duration;

use driftmill_platform::kafka::{Admin, Headers, Outgoing, Producer};
use driftmill_processors::audit::{Balance, audit};
use driftmill_processors::ingest::{Place, dead_letter};
use driftmill_schemas::message::dead_letter as header;
use driftmill_schemas::pipeline;
use driftmill_schemas::record::Record;
use driftmill_schemas::record::framing::{self, SchemaRef};
use serde_json::{Value, json};

use crate::harness::{Options, PATIENCE, Stack};

/// When the records were written, by themselves: milliseconds since 1970 UTC.
const WRITTEN: i64 = 1_750_000_000_123;
/// What refuses a record with `had_past_default` 7, and two ways to change it.
const STRICT: &str = r#"one_of: ["0", "1"] }"#;
const MENDED: &str = r#"one_of: ["0", "1", "7"] }"#;
const ANOTHER: &str = r#"one_of: ["0", "1", "2"] }"#;

/// Everything that a replay may change: rows, and letters with their marks.
const STATE: &str = "SELECT (SELECT groupArray(tuple(*)) FROM (SELECT * FROM loan_features ORDER BY _partition, _offset)), \
                     (SELECT groupArray(tuple(*)) FROM (SELECT * FROM loan_dead_letters ORDER BY origin))";

/// Which letters are marked.
const MARKED: &str = "SELECT arraySort(groupArray((origin, replayed_at IS NOT NULL))) FROM loan_dead_letters";

/// A stack in whose raw topic there are, by position: 0/0 a good record; 0/1, 0/2 and 1/0 records that break the
/// expectation; 0/3 one of an unknown class; 0/4 no Avro.
struct Scene {
    stack: Stack,
    producer: Producer,
}

impl Scene {
    async fn start() -> Self {
        let stack = Stack::start(Options { pipelines: &["loan"], sources: false, ..Options::default() }).await;
        let producer = Producer::new(&stack.kafka, Duration::from_millis(1)).unwrap();
        let scene = Self { stack, producer };
        for (partition, payload) in [
            (0, scene.record(1, 0, 1)),
            (0, scene.record(2, 7, 1)),
            (0, scene.record(3, 7, 0)),
            (0, scene.record(4, 0, 9)),
            (0, b"no Avro".to_vec()),
            (1, scene.record(5, 7, 1)),
        ] {
            let timestamp = Some(WRITTEN);
            let record = Outgoing { payload, timestamp, partition: Some(partition), ..Outgoing::default() };
            scene.producer.send("loan.raw", record).await.unwrap();
        }
        scene.stack.sql_becomes("SELECT count() FROM loan_features", "1").await;
        scene.stack.sql_becomes("SELECT count() FROM loan_dead_letters", "5").await;
        let done = "SELECT sum(to_offset - from_offset) FROM ledger FINAL WHERE stage = 'ingest.loan'";
        scene.stack.sql_becomes(done, "6").await;
        scene
    }

    /// A request for a loan as it travels.
    fn record(&self, id: i64, had_past_default: i64, loan_approval: i64) -> Vec<u8> {
        let loaded = pipeline::load(&self.stack.pipelines.join("loan/pipeline.yaml")).unwrap();
        let request = json!({ "id": id, "age": 35, "loan_duration_years": 10, "had_past_default": had_past_default,
                              "loan_approval": loan_approval });
        let mut payload = Vec::new();
        framing::begin(SchemaRef::Fingerprint(loaded.schema.fingerprint), &mut payload);
        let record = Record::from_json(request.as_object().unwrap(), &loaded.schema).unwrap();
        record.encode(&loaded.schema, &mut payload).unwrap();
        payload
    }

    /// Changes the pipeline file.
    fn edit(&self, old: &str, new: &str) {
        let file = self.stack.pipelines.join("loan/pipeline.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(old), "{text}");
        std::fs::write(&file, text.replace(old, new)).unwrap();
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.stack.cli(&[&["dead-letters"], arguments].concat()).await)
    }

    async fn replay(&self, arguments: &[&str]) -> Ran {
        self.run(&[&["replay", "loan"], arguments].concat()).await
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.run(&[arguments, &["--json"]].concat()).await;
        assert!(ran.well, "{ran:?}");
        serde_json::from_str(&ran.out).unwrap()
    }

    /// Rows and dead letters by an audit that must balance.
    async fn balanced(&self) -> (u64, u64) {
        let told = self.stack.cli_ok(&["audit", "loan", "--json"]).await;
        let told: Value = serde_json::from_str(&told).unwrap();
        let sum = |key: &str| told["partitions"].as_array().unwrap().iter().map(|p| p[key].as_u64().unwrap()).sum();
        assert_eq!((sum("missing"), sum("twice")), (0_u64, 0_u64), "{told}");
        (sum("rows"), sum("dead_letters"))
    }

    /// Takes everything about letters `origin LIKE pattern` out of the marks.
    async fn unmark(&self, pattern: &str) {
        self.delete("loan_replays_rows", &format!("origin LIKE '{pattern}'")).await;
    }

    async fn delete(&self, table: &str, condition: &str) {
        let delete = format!("ALTER TABLE {table} DELETE WHERE {condition} SETTINGS mutations_sync = 2");
        self.stack.clickhouse.execute(&delete).await.unwrap();
    }

    /// Marks a letter as a replay does before it inserts the row.
    async fn begin(&self, origin: &str) {
        let begin = format!(
            "INSERT INTO loan_replays_rows (origin, origin_partition, origin_offset, begun_at) \
             SELECT origin, origin_partition, origin_offset, now64(3) FROM loan_dead_letters WHERE origin = '{origin}'"
        );
        self.stack.clickhouse.execute(&begin).await.unwrap();
    }
}

/// What a command said.
#[derive(Debug)]
struct Ran {
    well: bool,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { well: output.status.success(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    #[track_caller]
    fn says(&self, well: bool, parts: &[&str]) {
        assert_eq!(self.well, well, "{self:?}");
        for part in parts {
            assert!(self.out.contains(part), "{part}: {self:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_a_mended_expectation_become_rows_at_their_positions_once() {
    let scene = Scene::start().await;
    assert_eq!(scene.balanced().await, (1, 5));
    let before = scene.stack.sql(STATE).await;
    scene.replay(&["--dry-run"]).await.says(false, &["loan: 0 would be replayed, 5 would still be refused"]);
    scene.edit(STRICT, MENDED);
    let dry = scene.replay(&["--kind", "BrokenExpectation", "--dry-run"]).await;
    dry.says(
        true,
        &["loan.raw/0/1 would become a row", "loan.raw/1/0 would become a row", "3 would be replayed, 0 would"],
    );
    assert_eq!(scene.stack.sql(STATE).await, before, "a dry run changes nothing");

    scene
        .replay(&["loan.raw/0/2"])
        .await
        .says(true, &["loan.raw/0/2 is a row now", "loan: 1 replayed, 0 still refused"]);
    assert_eq!(scene.balanced().await, (2, 4));
    let rest = scene.replay(&["--kind", "BrokenExpectation", "--since", "1h"]).await;
    rest.says(true, &["loan: 2 replayed, 0 still refused, 1 were replayed before"]);
    assert_eq!(scene.balanced().await, (4, 2));
    let rows = "SELECT arraySort(groupArray((_partition, _offset, entity, label, toUnixTimestamp64Milli(event_time)))) \
                FROM loan_features WHERE had_past_default = 7";
    let expected = format!("[(0,1,'2','1',{WRITTEN}),(0,2,'3','0',{WRITTEN}),(1,0,'5','1',{WRITTEN})]");
    assert_eq!(scene.stack.sql(rows).await, expected, "position, entity, label, and time of the record");

    let state = scene.stack.sql(STATE).await;
    let again = scene.replay(&[]).await;
    again.says(
        false,
        &["loan: 0 replayed, 2 still refused, 3 were replayed before", "1 × UnknownClass, first loan.raw/0/3"],
    );
    assert!(again.err.contains("2 dead letters are left"), "{again:?}");
    assert_eq!(scene.stack.sql(STATE).await, state, "replaying once more changes nothing");
    scene.replay(&["--until", "2020-01-01"]).await.says(true, &["loan: 0 replayed, 0 still refused\n"]);

    let shown = scene.json(&["show", "loan", "loan.raw/0/1"]).await;
    assert_eq!((&shown["row"], &shown["fields"]["had_past_default"]), (&json!(true), &json!("7")), "{shown}");
    assert!(shown["replayed_at"].is_string() && shown["bytes"]["whole"] == true, "{shown}");
    let listed = scene.json(&["list", "loan"]).await;
    let open: Vec<&str> = listed["letters"].as_array().unwrap().iter().map(|l| l["origin"].as_str().unwrap()).collect();
    assert_eq!(open.len(), 2, "those that were replayed are listed with --all only: {listed}");
    let group = listed["groups"].as_array().unwrap().iter().find(|group| group["kind"] == "BrokenExpectation").unwrap();
    assert_eq!((&group["letters"], &group["replayed"], &group["from"]), (&json!(3), &json!(3), &json!("loan.raw")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_was_cut_off_anywhere_balances_and_is_finished_by_the_next() {
    let scene = Scene::start().await;
    scene.edit(STRICT, MENDED);
    // Two at once, as from two places.
    let (one, two) = tokio::join!(scene.replay(&[]), scene.replay(&[]));
    for ran in [&one, &two] {
        ran.says(false, &["2 still refused"]);
    }
    assert_eq!(scene.balanced().await, (4, 2));
    let state = scene.stack.sql(MARKED).await;

    // After the row, before its mark: nothing is counted twice, not even while the file refuses the record again.
    scene.unmark("loan.raw/0/1").await;
    scene.begin("loan.raw/0/1").await;
    assert_eq!(scene.balanced().await, (4, 2));
    scene.edit(MENDED, STRICT);
    scene.run(&["show", "loan", "loan.raw/0/1"]).await.says(true, &["the next replay finishes it"]);
    scene.replay(&["loan.raw/0/1"]).await.says(true, &["is a row now", "1 replayed"]);
    scene.edit(STRICT, MENDED);

    // After the first mark, before the row: it is a dead letter.
    scene.delete("loan_features_rows", "_partition = 1 AND _offset = 0").await;
    scene.unmark("loan.raw/1/0").await;
    scene.begin("loan.raw/1/0").await;
    assert_eq!(scene.balanced().await, (3, 3));
    scene.replay(&["loan.raw/1/0"]).await.says(true, &["is a row now"]);
    assert_eq!(scene.balanced().await, (4, 2));

    // A row and a letter that no replay explains are told, and a replay explains them.
    scene.unmark("%").await;
    let unbalanced = Ran::of(scene.stack.cli(&["audit", "loan"]).await);
    assert!(!unbalanced.well && unbalanced.err.contains("2 positions are there twice"), "{unbalanced:?}");
    scene.replay(&["--kind", "BrokenExpectation"]).await.says(true, &["3 replayed"]);
    assert_eq!(scene.balanced().await, (4, 2));
    let healed = scene.stack.sql(MARKED).await;
    assert_eq!(healed, state);
    assert_eq!(scene.stack.sql("SELECT count(), uniqExact(_partition, _offset) FROM loan_features").await, "4\t4");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_balances_all_the_while_a_replay_of_many_pages_runs() {
    const MANY: i64 = 20_000;
    let scene = Scene::start().await;
    let record = |id| Outgoing { payload: scene.record(id, 7, 1), timestamp: Some(WRITTEN), ..Outgoing::default() };
    let one = record(10);
    scene.producer.send_all("loan.raw", vec![one; MANY as usize]).await.unwrap();
    scene.stack.sql_becomes("SELECT count() FROM loan_dead_letters", &(MANY + 5).to_string()).await;
    scene.stack.sql_becomes("SELECT sum(rows + rejected) FROM ledger FINAL WHERE stage = 'ingest.loan'", "20006").await;
    scene.edit(STRICT, MENDED);
    let admin = Admin::new(&scene.stack.kafka).unwrap();
    let balances = async || audit(&scene.stack.clickhouse, &admin, "loan", |_| None, PATIENCE).await.unwrap();
    let mut replay = std::pin::pin!(scene.replay(&["--kind", "BrokenExpectation"]));
    let mut audits = 0;
    let ran = loop {
        tokio::select! {
            ran = &mut replay => break ran,
            found = balances() => {
                audits += 1;
                assert!(found.iter().all(Balance::is_balanced), "audit {audits}: {found:?}");
                let accounted: u64 = found.iter().map(|balance| balance.rows + balance.dead_letters).sum();
                assert_eq!(accounted, 20_006, "audit {audits}: {found:?}");
            }
        }
    };
    ran.says(true, &["loan: 20003 replayed, 0 still refused"]);
    assert!(audits > 0);
    assert_eq!(scene.balanced().await, (20_004, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_written_again_after_its_replay_stays_replayed() {
    let scene = Scene::start().await;
    scene.edit(STRICT, MENDED);
    scene.replay(&["--kind", "BrokenExpectation"]).await.says(true, &["3 replayed"]);
    let written = "SELECT _offset FROM loan_dead_letters WHERE origin = 'loan.raw/0/1'";
    let first = scene.stack.sql(written).await;
    let place = Place { topic: "loan.raw", partition: 0, offset: 1, timestamp: WRITTEN };
    let again = dead_letter(place, "expectation", "BrokenExpectation", "late", &scene.record(2, 7, 1));
    let (_, offset) = scene.producer.send("loan.rejected", again).await.unwrap();
    assert_ne!(first, offset.to_string());
    scene.stack.sql_becomes(written, &offset.to_string()).await;
    scene.stack.clickhouse.execute("OPTIMIZE TABLE loan_dead_letters_rows FINAL").await.unwrap();
    scene.stack.clickhouse.execute("OPTIMIZE TABLE loan_replays_rows FINAL").await.unwrap();

    let marked = "SELECT countIf(replayed_at IS NOT NULL), count() FROM loan_dead_letters";
    assert_eq!(scene.stack.sql(marked).await, "3\t5");
    assert_eq!(scene.balanced().await, (4, 2));
    scene.replay(&["loan.raw/0/1"]).await.says(true, &["was replayed before"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_still_refused_keeps_the_newest_reason_and_is_sent_again_only_with_another() {
    let scene = Scene::start().await;
    let reason = "SELECT error, message, replayed_at IS NULL FROM loan_dead_letters WHERE origin = 'loan.raw/1/0'";
    let admin = Admin::new(&scene.stack.kafka).unwrap();
    scene.edit(STRICT, ANOTHER);
    let ran = scene.replay(&["loan.raw/1/0"]).await;
    ran.says(false, &["loan.raw/1/0 is still refused: BrokenExpectation", "one of 0, 1, 2"]);
    let newest = "BrokenExpectation\tbreaks the expectation `had_past_default one of 0, 1, 2`\t1";
    scene.stack.sql_becomes(reason, newest).await;
    let end = admin.watermarks("loan.rejected").await.unwrap();
    scene.replay(&["loan.raw/1/0"]).await.says(false, &["0 replayed, 1 still refused"]);
    assert_eq!(admin.watermarks("loan.rejected").await.unwrap(), end, "nothing new, nothing sent");
    assert_eq!(scene.balanced().await, (1, 5));

    // The letter that was sent again still knows when its record was written.
    scene.edit(ANOTHER, MENDED);
    scene.replay(&["loan.raw/1/0"]).await.says(true, &["1 replayed"]);
    let time = "SELECT toUnixTimestamp64Milli(event_time) FROM loan_features WHERE _partition = 1";
    assert_eq!(scene.stack.sql(time).await, WRITTEN.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_a_letter_does_not_hold_are_read_from_the_raw_topic() {
    let scene = Scene::start().await;
    scene.edit(STRICT, MENDED);
    let moved = |origin: &str, to: &str, columns: &str| {
        format!(
            "INSERT INTO loan_dead_letters_rows SELECT * REPLACE({to}) FROM loan_dead_letters_rows FINAL \
             WHERE origin = '{origin}' {columns}"
        )
    };
    // Retention took the letter; another one stands there; neither the letter nor its record is left, or is the same.
    let gone = moved("loan.raw/0/1", "toInt64(99999) AS _offset", "");
    let another =
        moved("loan.raw/0/2", "(SELECT _offset FROM loan_dead_letters WHERE origin = 'loan.raw/0/3') AS _offset", "");
    let lost = moved("loan.raw/1/0", "toInt64(99999) AS _offset, 'of another record' AS preview", "");
    for insert in [gone, another, lost] {
        scene.stack.clickhouse.execute(&insert).await.unwrap();
    }
    let shown = scene.json(&["show", "loan", "loan.raw/0/1"]).await;
    assert_eq!(shown["bytes"]["from"], "raw topic", "{shown}");
    let ran = scene.replay(&["--kind", "BrokenExpectation"]).await;
    ran.says(true, &["2 replayed, 0 still refused, 1 cannot be replayed", "first loan.raw/1/0: its bytes are gone"]);
    scene.replay(&["loan.raw/1/0"]).await.says(false, &["cannot be replayed: its bytes are gone"]);
    let times = "SELECT groupUniqArray(toUnixTimestamp64Milli(event_time)) FROM loan_features";
    assert_eq!(scene.stack.sql(times).await, format!("[{WRITTEN}]"));
    assert_eq!(scene.balanced().await, (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_strangers_and_of_sources_are_explained_and_do_no_harm() {
    let scene = Scene::start().await;
    // A name made to break out of a query, and bytes and a reason made to be obeyed by a terminal.
    let text = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let headers: Headers = vec![
        text(header::TOPIC, "it's \\\"; --"),
        text(header::PARTITION, "0"),
        text(header::OFFSET, "5"),
        text(header::EXCEPTION_CLASS, "Odd"),
        text(header::EXCEPTION_MESSAGE, "\u{1b}[2Jgone\u{202e}"),
    ];
    let record = Outgoing { payload: b"\x1b[31mred".to_vec(), headers, ..Outgoing::default() };
    scene.producer.send("loan.rejected", record).await.unwrap();
    let csv = "id,age,annual_income,credit_score,loan_amount,loan_duration_years,number_of_open_accounts,had_past_default,\
               loan_approval\n1,abc,1,1,1,1,1,0,1\n";
    let file = scene.stack.pipelines.parent().unwrap().join("it's.csv");
    std::fs::write(&file, csv).unwrap();
    scene.stack.cli_ok(&["produce", "loan", "--source", "file", "--from", file.to_str().unwrap()]).await;
    scene.stack.sql_becomes("SELECT count() FROM loan_dead_letters", "7").await;

    let stranger = "it's \\\"; --/0/5";
    let listed = scene.run(&["list", "loan", "--all"]).await;
    listed.says(true, &["loan: 7 dead letters, 0 of them replayed", stranger, "it's.csv", "\\u{1b}[2Jgone\\u{202e}"]);
    assert!(!listed.out.contains('\u{1b}'), "{listed:?}");
    let shown = scene.run(&["show", "loan", stranger]).await;
    shown.says(true, &[stranger, "1b 5b 33 31 6d 72 65 64", "no fields"]);
    assert!(!shown.out.contains('\u{1b}'), "{shown:?}");
    let kind = scene.json(&["list", "loan", "--kind", "' OR 1 = 1 --"]).await;
    assert_eq!(kind["letters"], json!([]), "{kind}");
    let none = scene.run(&["show", "loan", "x' OR '1' = '1"]).await;
    assert!(!none.well && none.err.contains("has no dead letter"), "{none:?}");

    let sources = scene.json(&["list", "loan", "--kind", "WrongType"]).await;
    let source = sources["letters"][0]["origin"].as_str().unwrap();
    let shown = scene.run(&["show", "loan", source]).await;
    shown.says(true, &["it's.csv:2", "1,abc,1,1", "driftmill produce loan --source NAME --from FILE"]);
    let refused = scene.replay(&[source, stranger, "none/0/0"]).await;
    refused.says(
        false,
        &["Write the mended line into a file", "it is not about a record of `loan.raw`", "no dead letter of this name"],
    );
    // Nobody asked for them by name: they are told, and are no failure.
    scene.edit(STRICT, MENDED);
    let swept = scene.replay(&["--kind", "WrongType"]).await;
    swept.says(true, &["0 replayed, 0 still refused, 1 cannot be replayed"]);
    assert_eq!(scene.balanced().await, (1, 5));
}
