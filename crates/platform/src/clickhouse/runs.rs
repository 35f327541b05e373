//! Tables of when trainings begin, and of what is known of a run beside its states.

use super::Migration;

/// The statements that make them.
pub(super) fn migrations(settings: &str) -> Vec<Migration> {
    vec![
        Migration {
            id: "platform-010-schedules".to_owned(),
            statements: vec![
                // Every switching is kept: who and when.
                format!(
                    "CREATE TABLE IF NOT EXISTS schedule_switches (pipeline LowCardinality(String), schedule String, \
                     enabled UInt8, at DateTime64(3, 'UTC'), who String) \
                     ENGINE = MergeTree ORDER BY (pipeline, schedule, at) {settings}"
                ),
                format!(
                    "CREATE TABLE IF NOT EXISTS schedule_firings (pipeline LowCardinality(String), schedule String, \
                     due DateTime64(3, 'UTC'), at DateTime64(3, 'UTC'), request_id UUID) \
                     ENGINE = ReplacingMergeTree(at) ORDER BY (pipeline, schedule, due) {settings}"
                ),
            ],
        },
        Migration {
            id: "platform-010-runs".to_owned(),
            statements: vec![
                "ALTER TABLE runs ADD COLUMN IF NOT EXISTS attempt UInt32".to_owned(),
                format!(
                    "CREATE TABLE IF NOT EXISTS run_logs (run_id UUID, pipeline LowCardinality(String), \
                     at DateTime64(3, 'UTC'), number UInt32, level LowCardinality(String), line String) \
                     ENGINE = MergeTree ORDER BY (pipeline, run_id, at, number) \
                     TTL toDateTime(at) + INTERVAL 90 DAY {settings}"
                ),
                format!(
                    "CREATE TABLE IF NOT EXISTS run_snapshots (pipeline LowCardinality(String), run_id UUID, \
                     snapshot String, rows UInt64, reached Array(Tuple(Int32, Int64)), at DateTime64(3, 'UTC')) \
                     ENGINE = ReplacingMergeTree(at) ORDER BY (pipeline, run_id) {settings}"
                ),
                // One that was taken up stays so, whatever is written late.
                format!(
                    "CREATE TABLE IF NOT EXISTS run_retries (pipeline LowCardinality(String), run_id UUID, \
                     due DateTime64(3, 'UTC'), request String, taken_up UInt8) \
                     ENGINE = ReplacingMergeTree(taken_up) ORDER BY (pipeline, run_id) {settings}"
                ),
            ],
        },
    ]
}
