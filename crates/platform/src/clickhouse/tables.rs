//! The tables. Rows that come from a topic carry `_partition` and `_offset`, which are their sorting key: a row that is
//! written again replaces itself, and the view without the suffix `_rows` never shows a position twice.

use driftmill_schemas::pipeline::{Feature, FeatureType, Pipeline};

use super::{FeatureTable, Migration, quote};

/// Tokens of this many inserts are remembered per table.
const DEDUPLICATION: &str = "SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1";

/// A table whose rows are told apart by `key`, and its view.
fn keyed(name: &str, key: &str, columns: &str) -> Vec<String> {
    let (rows, view) = (quote(&format!("{name}_rows")), quote(name));
    vec![
        format!(
            "CREATE TABLE IF NOT EXISTS {rows} (_partition Int32, _offset Int64, {columns}) \
             ENGINE = ReplacingMergeTree ORDER BY ({key}) {DEDUPLICATION}"
        ),
        format!("CREATE VIEW IF NOT EXISTS {view} AS SELECT * FROM {rows} FINAL"),
    ]
}

/// A table whose rows are told apart by their position in the topic.
fn positioned(name: &str, columns: &str) -> Vec<String> {
    keyed(name, "_partition, _offset", columns)
}

/// Where the replays of a pipeline's dead letters are marked. A mark is kept apart from its letter, because the letter may
/// be written again at any time, and would take the mark with it.
///
/// A mark is written twice. Before the row is inserted it has no `replayed_at` and says that one may come: from then on a
/// row and a dead letter of the same position are no contradiction. Afterwards it has one, which no later mark without one
/// replaces.
fn replays(pipeline: &str) -> Vec<String> {
    let letters = quote(&format!("{pipeline}_dead_letters"));
    let letter_rows = quote(&format!("{pipeline}_dead_letters_rows"));
    let (rows, view) = (quote(&format!("{pipeline}_replays_rows")), quote(&format!("{pipeline}_replays")));
    vec![
        format!(
            "CREATE TABLE IF NOT EXISTS {rows} (origin String, origin_partition Int32, origin_offset Int64, \
             begun_at DateTime64(3, 'UTC'), replayed_at DateTime64(3, 'UTC')) \
             ENGINE = ReplacingMergeTree(replayed_at) ORDER BY origin {DEDUPLICATION}"
        ),
        format!(
            "CREATE OR REPLACE VIEW {view} AS SELECT origin, origin_partition, origin_offset, begun_at, \
             nullIf(replayed_at, toDateTime64(0, 3, 'UTC')) AS replayed_at FROM {rows} FINAL"
        ),
        format!(
            "CREATE OR REPLACE VIEW {letters} AS SELECT letters.*, marks.marked_at AS replayed_at \
             FROM (SELECT * FROM {letter_rows} FINAL) AS letters \
             LEFT ANY JOIN (SELECT origin AS marked, replayed_at AS marked_at FROM {view}) AS marks \
             ON letters.origin = marks.marked"
        ),
    ]
}

/// What expectations leave behind: which rows break one, which one refused a record, and how each fares by windows of time.
fn expectations(pipeline: &str) -> Vec<String> {
    let features = FeatureTable::of(pipeline);
    let rows = quote(&features.rows);
    let letters = quote(&format!("{pipeline}_dead_letters_rows"));
    let (results, results_view) =
        (quote(&format!("{pipeline}_expectations_rows")), quote(&format!("{pipeline}_expectations")));
    let mut statements = vec![
        format!(
            "ALTER TABLE {rows} ADD COLUMN IF NOT EXISTS _breaches Array(LowCardinality(String)) AFTER _quarantined"
        ),
        // Rows come roughly in the order of their time, so that most parts and granules can be passed over.
        format!("ALTER TABLE {rows} ADD INDEX IF NOT EXISTS event_time_range event_time TYPE minmax GRANULARITY 1"),
        format!("ALTER TABLE {letters} ADD COLUMN IF NOT EXISTS expectation LowCardinality(String)"),
        format!(
            "CREATE TABLE IF NOT EXISTS {results} (expectation String, about LowCardinality(String), \
             severity LowCardinality(String), window_start DateTime64(3, 'UTC'), window_end DateTime64(3, 'UTC'), \
             checked UInt64, broken UInt64, met UInt8, detail String, at DateTime64(3, 'UTC')) \
             ENGINE = ReplacingMergeTree(at) ORDER BY (expectation, window_start) \
             TTL toDateTime(at) + INTERVAL 90 DAY {DEDUPLICATION}"
        ),
        format!("CREATE OR REPLACE VIEW {results_view} AS SELECT * FROM {results} FINAL"),
    ];
    // The view of dead letters shows every column of theirs, as many as there were when it was made.
    statements.extend(replays(pipeline).pop());
    statements
}

/// Tables that belong to no pipeline: ledger and registry.
pub fn platform_migrations() -> Vec<Migration> {
    let mut migrations = vec![
        Migration {
            id: "platform-001-ledger".to_owned(),
            statements: vec![format!(
                "CREATE TABLE IF NOT EXISTS ledger (stage LowCardinality(String), topic LowCardinality(String), \
                 partition Int32, from_offset Int64, to_offset Int64, rows UInt64, rejected UInt64, at DateTime64(3, 'UTC')) \
                 ENGINE = ReplacingMergeTree ORDER BY (stage, topic, partition, from_offset) {DEDUPLICATION}"
            )],
        },
        Migration {
            id: "platform-002-registry".to_owned(),
            statements: vec![
                format!(
                    "CREATE TABLE IF NOT EXISTS model_versions (pipeline LowCardinality(String), version UInt64, \
                     run_id UUID, created_at DateTime64(3, 'UTC'), algorithm LowCardinality(String), artifact String, \
                     reference String, snapshot String, rows UInt64, metrics Map(String, Float64), gates String) \
                     ENGINE = ReplacingMergeTree ORDER BY (pipeline, version) {DEDUPLICATION}"
                ),
                format!(
                    "CREATE TABLE IF NOT EXISTS model_aliases (pipeline LowCardinality(String), \
                     alias LowCardinality(String), version UInt64, at DateTime64(3, 'UTC'), sequence UInt64, reason String) \
                     ENGINE = MergeTree ORDER BY (pipeline, alias, sequence) {DEDUPLICATION}"
                ),
                format!(
                    "CREATE TABLE IF NOT EXISTS runs (run_id UUID, pipeline LowCardinality(String), \
                     state LowCardinality(String), at DateTime64(3, 'UTC'), cause String, detail String, \
                     metrics Map(String, Float64), model_version UInt64, gates String) \
                     ENGINE = MergeTree ORDER BY (pipeline, run_id, at) {DEDUPLICATION}"
                ),
            ],
        },
        Migration {
            id: "platform-003-coverage".to_owned(),
            statements: ["lost Array(Tuple(Int64, Int64))", "absent Array(Tuple(Int64, Int64))", "tail UInt64"]
                .map(|column| format!("ALTER TABLE ledger ADD COLUMN IF NOT EXISTS {column}"))
                .to_vec(),
        },
        Migration {
            id: "platform-004-audits".to_owned(),
            statements: vec![format!(
                "CREATE TABLE IF NOT EXISTS audits (pipeline LowCardinality(String), partition Int32, from_offset Int64, \
                 to_offset Int64, rows UInt64, dead_letters UInt64, lost UInt64, absent UInt64, missing UInt64, \
                 twice UInt64, at DateTime64(3, 'UTC')) ENGINE = ReplacingMergeTree(at) \
                 ORDER BY (pipeline, partition, from_offset) TTL toDateTime(at) + INTERVAL 90 DAY {DEDUPLICATION}"
            )],
        },
        Migration {
            id: "platform-005-feature-versions".to_owned(),
            statements: vec![super::versions::table(DEDUPLICATION), super::claim::table(DEDUPLICATION)],
        },
        Migration {
            id: "platform-007-run-steps".to_owned(),
            statements: vec![format!(
                "CREATE TABLE IF NOT EXISTS run_steps (run_id UUID, pipeline LowCardinality(String), \
                     name LowCardinality(String), step UInt64, value Float64, at DateTime64(3, 'UTC')) \
                     ENGINE = ReplacingMergeTree ORDER BY (pipeline, run_id, name, step) {DEDUPLICATION}"
            )],
        },
        Migration {
            id: "platform-008-searches".to_owned(),
            statements: vec![format!(
                "CREATE TABLE IF NOT EXISTS search_scores (pipeline LowCardinality(String), search String, run_id UUID, \
                     rung UInt32, share Float64, candidate UInt32, fold UInt32, params String, score Nullable(Float64), \
                     failure String, snapshot String, at DateTime64(3, 'UTC')) \
                     ENGINE = ReplacingMergeTree ORDER BY (pipeline, search, rung, candidate, fold) {DEDUPLICATION}"
            )],
        },
        Migration {
            id: "platform-009-decisions".to_owned(),
            statements: vec![format!(
                "CREATE TABLE IF NOT EXISTS drift_decisions (pipeline LowCardinality(String), window String, \
                     at DateTime64(3, 'UTC'), decision LowCardinality(String), told String, facts String) \
                     ENGINE = ReplacingMergeTree(at) ORDER BY (pipeline, window) {DEDUPLICATION}"
            )],
        },
        Migration {
            id: "platform-010-rollouts".to_owned(),
            statements: vec![format!(
                "CREATE TABLE IF NOT EXISTS rollouts (pipeline LowCardinality(String), rollout String, step UInt32, \
                     begun DateTime64(3, 'UTC'), at DateTime64(3, 'UTC'), run_id UUID, cause String, challenger UInt64, \
                     champion UInt64, stage LowCardinality(String), share Float64, alias_sequence UInt64, reason String, \
                     facts String) ENGINE = ReplacingMergeTree(at) ORDER BY (pipeline, rollout, step) {DEDUPLICATION}"
            )],
        },
        Migration {
            id: "platform-011-performance".to_owned(),
            statements: vec![format!(
                "CREATE TABLE IF NOT EXISTS performance (pipeline LowCardinality(String), model_version UInt64, number UInt64, \
                     `from` DateTime64(3, 'UTC'), `to` DateTime64(3, 'UTC'), answers UInt64, labels UInt64, \
                     metric LowCardinality(String), measured Nullable(Float64), measured_low Nullable(Float64), \
                     measured_high Nullable(Float64), estimated Nullable(Float64), estimated_low Nullable(Float64), \
                     estimated_high Nullable(Float64), usual Nullable(Float64), judgement LowCardinality(String), \
                     at DateTime64(3, 'UTC')) ENGINE = ReplacingMergeTree(at) \
                     ORDER BY (pipeline, model_version, number) {DEDUPLICATION}"
            )],
        },
        Migration {
            id: "platform-010-gold-sets".to_owned(),
            statements: vec![format!(
                "CREATE TABLE IF NOT EXISTS gold_sets (pipeline LowCardinality(String), sequence UInt64, \
                     at DateTime64(3, 'UTC'), snapshot String, rows UInt64, features String, who String, reason String) \
                     ENGINE = MergeTree ORDER BY (pipeline, sequence) {DEDUPLICATION}"
            )],
        },
        Migration {
            id: "platform-011-drift-releases".to_owned(),
            statements: vec![format!(
                "CREATE TABLE IF NOT EXISTS drift_releases (pipeline LowCardinality(String), window String, \
                     at DateTime64(3, 'UTC'), who String, reason String) \
                     ENGINE = ReplacingMergeTree(at) ORDER BY (pipeline, window) {DEDUPLICATION}"
            )],
        },
        Migration {
            id: "platform-006-first-fields".to_owned(),
            statements: vec![format!(
                "CREATE TABLE IF NOT EXISTS first_fields (pipeline LowCardinality(String), fields Array(String), \
                     at DateTime64(3, 'UTC')) ENGINE = MergeTree ORDER BY pipeline {DEDUPLICATION}"
            )],
        },
    ];
    migrations.extend(super::runs::migrations(DEDUPLICATION));
    migrations
}

/// What predictions of texts and of values have beside the others.
fn answers(pipeline: &str) -> Vec<String> {
    let view = format!("{pipeline}_predictions");
    let table = FeatureTable { rows: format!("{view}_rows"), view };
    let columns = [
        "texts Map(LowCardinality(String), Nullable(String))",
        "value Nullable(Float64)",
        "lower Nullable(Float64)",
        "upper Nullable(Float64)",
    ];
    let added = columns.map(|column| format!("ADD COLUMN IF NOT EXISTS {column}")).join(", ");
    vec![format!("ALTER TABLE {} {added}", quote(&table.rows)), table.view_statement()]
}

/// Answers that nobody was told, of a version that is compared with the one that serves, and tries of a version that gave no
/// answer, stand beside those that were served. Which time a part is of is noted: what is judged is the newest.
fn shadows(pipeline: &str) -> Vec<String> {
    let (rows, view) = (quote(&format!("{pipeline}_predictions_rows")), quote(&format!("{pipeline}_predictions")));
    let all = quote(&format!("{pipeline}_answers"));
    vec![
        format!(
            "ALTER TABLE {rows} ADD COLUMN IF NOT EXISTS micros UInt64, ADD COLUMN IF NOT EXISTS shadow UInt8, \
             ADD COLUMN IF NOT EXISTS failure String, ADD INDEX IF NOT EXISTS at_range at TYPE minmax GRANULARITY 1"
        ),
        // Also for what is there already: in the background.
        format!("ALTER TABLE {rows} MATERIALIZE INDEX at_range"),
        format!(
            "CREATE OR REPLACE VIEW {view} AS SELECT * EXCEPT (shadow, failure) FROM {rows} FINAL \
             WHERE shadow = 0 AND failure = ''"
        ),
        format!("CREATE OR REPLACE VIEW {all} AS SELECT * FROM {rows} FINAL"),
    ]
}

/// What of a pipeline is watched for drift is more than its records. Rows of before there was anything else name no stream.
fn drift_streams(pipeline: &str) -> Vec<String> {
    let (rows, view) = (quote(&format!("{pipeline}_drift_rows")), quote(&format!("{pipeline}_drift")));
    vec![
        format!("ALTER TABLE {rows} ADD COLUMN IF NOT EXISTS stream LowCardinality(String) AFTER window"),
        format!("ALTER TABLE {rows} ADD COLUMN IF NOT EXISTS ranges Array(Tuple(Int32, Int64, Int64)) AFTER rows"),
        format!(
            "CREATE OR REPLACE VIEW {view} AS \
             SELECT * REPLACE (if(stream = '', 'records', toString(stream)) AS stream) FROM {rows} FINAL"
        ),
    ]
}

/// Labels of predictions, and predictions beside the latest label of theirs, however late it came.
fn labels(pipeline: &str) -> Vec<String> {
    let name = format!("{pipeline}_labels");
    let mut statements = positioned(&name, "at DateTime64(3, 'UTC'), request_id String, row UInt32, label String");
    let (outcomes, predictions, labels) =
        (quote(&format!("{pipeline}_outcomes")), quote(&format!("{pipeline}_predictions")), quote(&name));
    statements.push(format!(
        "CREATE OR REPLACE VIEW {outcomes} AS SELECT p.*, l.label AS label, l.labelled_at AS labelled_at \
         FROM {predictions} AS p INNER JOIN (SELECT request_id, row, argMax(label, _offset) AS label, \
         max(at) AS labelled_at FROM {labels} GROUP BY request_id, row) AS l USING (request_id, row)"
    ));
    statements
}

/// The tables of one pipeline. A feature that is added later becomes a column: its migration is named by the columns.
pub fn pipeline_migrations(pipeline: &Pipeline) -> Vec<Migration> {
    let name = &pipeline.name;
    let features = FeatureTable::of(name);
    let base = positioned(
        &features.view,
        "event_time DateTime64(3, 'UTC'), entity Nullable(String), label Nullable(String), _quarantined UInt8",
    );
    let dead_letters = keyed(
        &format!("{name}_dead_letters"),
        "origin",
        "origin String, at DateTime64(3, 'UTC'), stage LowCardinality(String), error LowCardinality(String), message String, \
         origin_topic LowCardinality(String), origin_partition Int32, origin_offset Int64, source String, \
         original String, bytes UInt64, preview String",
    );
    let predictions = positioned(
        &format!("{name}_predictions"),
        "at DateTime64(3, 'UTC'), request_id String, row UInt32, model_version UInt64, dialect LowCardinality(String), \
         entity Nullable(String), features Map(LowCardinality(String), Nullable(Float64)), prediction LowCardinality(String), \
         probabilities Array(Float64)",
    );
    let drift = positioned(
        &format!("{name}_drift"),
        "at DateTime64(3, 'UTC'), window String, model_version UInt64, verdict LowCardinality(String), rows UInt64, \
         reasons Array(String), report String",
    );
    // A number's name alone, as ever: the names of migrations that have run must not change.
    let named = |feature: &Feature| match feature.kind {
        FeatureType::Number => feature.name.clone(),
        kind => format!("{}:{}", feature.name, kind.title()),
    };
    let columns: Vec<String> = pipeline.features.iter().map(named).collect();
    // The view follows in `ClickHouse::make_feature_view`: which rows it shows is not the table's alone to say.
    let added: Vec<String> = pipeline
        .features
        .iter()
        .map(|feature| {
            let (rows, column) = (quote(&features.rows), quote(&feature.name));
            format!("ALTER TABLE {rows} ADD COLUMN IF NOT EXISTS {column} {}", feature.kind.column_type())
        })
        .collect();
    vec![
        Migration { id: format!("{name}-001-tables"), statements: [base, dead_letters, predictions, drift].concat() },
        Migration { id: format!("{name}-002-replays"), statements: replays(name) },
        Migration { id: format!("{name}-004-expectations"), statements: expectations(name) },
        Migration { id: format!("{name}-005-answers"), statements: answers(name) },
        Migration { id: format!("{name}-006-drift-streams"), statements: drift_streams(name) },
        Migration { id: format!("{name}-007-labels"), statements: labels(name) },
        Migration { id: format!("{name}-008-shadows"), statements: shadows(name) },
        Migration { id: format!("{name}-features-{}", columns.join("+")), statements: added },
    ]
}
