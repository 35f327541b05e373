//! The configuration the engine starts with: users, grants, limits, pools, log.

use super::{DATABASE, USER};

/// File name of the configuration, in the data folder.
pub(super) const CONFIG_FILE: &str = "engine.xml";
/// File name of the engine's own log, in the data folder. It rotates: one older file is kept, compressed.
pub(super) const LOG_FILE: &str = "engine.log";

/// Queries that the engine runs on itself and that [`STARTUP_QUOTA`] counts: `SYSTEM START LISTEN HTTP` and the one that
/// blocks. (The one between them reads no table and is not counted.)
const STARTUP_QUERIES: u32 = 2;

/// What our user may do to its database. `ALL` would bring access management along, which a user that cannot create
/// users has no need for.
const DATABASE_GRANTS: &str =
    "SHOW, SELECT, INSERT, ALTER, CREATE, DROP, UNDROP TABLE, TRUNCATE, OPTIMIZE, SYSTEM MERGES, SYSTEM TTL MERGES";

/// Engines our user may create with: nothing that reads files, URLs or other servers.
const ENGINES: [&str; 9] = [
    "Atomic",
    "MergeTree",
    "ReplacingMergeTree",
    "SummingMergeTree",
    "AggregatingMergeTree",
    "Memory",
    "Null",
    "View",
    "MaterializedView",
];

/// Writes the configuration for a password given as the lower-case hex of its SHA-256.
///
/// The engine logs itself in as `default`, without a password, and the same login is open to every process on this
/// machine. So `default` gets the three grants its start needs and a quota that exactly these queries use up: what
/// remains to others is `SELECT 1`. In particular nobody can stop the listener.
pub(super) fn render(password_sha256_hex: &str) -> String {
    let engines: String =
        ENGINES.iter().map(|engine| format!("        <query>GRANT TABLE ENGINE ON {engine}</query>\n")).collect();
    // System log tables stay unconfigured: they would grow without bound and break after a restart. The pools are sized
    // for one machine that also runs everything else; the last three merge_tree settings must fit into the small pool.
    format!(
        "<clickhouse>
  <log-level>warning</log-level>
  <logger><console>false</console><log>{LOG_FILE}</log><size>16M</size><count>1</count></logger>
  <users_config>{CONFIG_FILE}</users_config>

  <max_server_memory_usage>4294967296</max_server_memory_usage>
  <max_server_memory_usage_to_ram_ratio>0.5</max_server_memory_usage_to_ram_ratio>
  <mark_cache_size>268435456</mark_cache_size>
  <background_pool_size>2</background_pool_size>
  <background_merges_mutations_concurrency_ratio>2</background_merges_mutations_concurrency_ratio>
  <background_common_pool_size>2</background_common_pool_size>
  <background_schedule_pool_size>8</background_schedule_pool_size>
  <background_move_pool_size>1</background_move_pool_size>
  <background_fetches_pool_size>1</background_fetches_pool_size>
  <merge_tree>
    <number_of_free_entries_in_pool_to_execute_mutation>1</number_of_free_entries_in_pool_to_execute_mutation>
    <number_of_free_entries_in_pool_to_lower_max_size_of_merge>1</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
    <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>1</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
  </merge_tree>

  <profiles>
    <default>
      <async_insert>0</async_insert>
    </default>
    <startup>
      <max_memory_usage>67108864</max_memory_usage>
    </startup>
  </profiles>
  <quotas>
    <default/>
    <startup><interval><duration>2147483647</duration><queries>{STARTUP_QUERIES}</queries></interval></startup>
  </quotas>
  <users>
    <default>
      <password></password>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>startup</profile>
      <quota>startup</quota>
      <grants>
        <query>GRANT SYSTEM LISTEN ON *.*</query>
        <query>GRANT SELECT ON system.numbers</query>
        <query>GRANT SELECT ON system.one</query>
      </grants>
    </default>
    <{USER}>
      <password_sha256_hex>{password_sha256_hex}</password_sha256_hex>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants>
        <query>GRANT {DATABASE_GRANTS} ON {DATABASE}.*</query>
        <query>GRANT SELECT ON system.*</query>
        <query>GRANT SELECT ON information_schema.*</query>
        <query>GRANT SELECT ON INFORMATION_SCHEMA.*</query>
        <query>GRANT CREATE TEMPORARY TABLE, KILL QUERY ON *.*</query>
{engines}      </grants>
    </{USER}>
  </users>
</clickhouse>
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_user_has_rights_on_the_database() {
        let rendered = render("00ff");
        let (default_user, our_user) = rendered.split_once("<driftmill>").unwrap();
        assert!(our_user.contains("<password_sha256_hex>00ff</password_sha256_hex>"));
        assert!(our_user.contains("ON driftmill.*"));
        let granted =
            default_user.lines().filter_map(|line| line.trim().strip_prefix("<query>")?.strip_suffix("</query>"));
        let listener = "GRANT SYSTEM LISTEN ON *.*";
        let tables = ["GRANT SELECT ON system.numbers", "GRANT SELECT ON system.one"];
        assert_eq!(granted.collect::<Vec<_>>(), [listener, tables[0], tables[1]]);
        assert_eq!(default_user.matches("GRANT").count(), 3);
    }

    #[test]
    fn no_log_of_the_engine_is_a_table() {
        // Their names end alike: `<query_log>`, `<part_log>`, and some twenty more.
        assert!(!render("").contains("_log>"));
    }

    #[test]
    fn inserts_are_never_asynchronous() {
        assert!(render("").contains("<async_insert>0</async_insert>"));
    }
}
