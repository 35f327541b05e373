//! Sets of values that a field is looked up in.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use driftmill_platform::clickhouse::ClickHouse;
use driftmill_schemas::pipeline::KnownIn;
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

/// Values a set holds at most.
const MOST_VALUES: usize = 1_000_000;
/// How long the query of a set may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a set could not be read: what to do about it is in the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(String);

/// A set of values, as text.
#[derive(Debug)]
pub struct KnownValues {
    /// Asked for, and how often in milliseconds; `None`: the values were in a file and stay.
    query: Option<(String, i64)>,
    values: HashSet<String>,
    /// When they were asked for last, milliseconds since 1970 UTC; `None`: there are none yet.
    asked_at: Option<i64>,
    /// The answer that newer values are awaited from.
    asking: Option<AbortOnDropHandle<Result<HashSet<String>, Unavailable>>>,
}

impl KnownValues {
    /// The set of `rule`, whose file is relative to `folder`. One with a query is empty until it is refreshed.
    pub fn new(rule: &KnownIn, folder: &Path) -> Result<Self, Unavailable> {
        let Some(file) = &rule.file else {
            let every = i64::try_from(rule.refresh).unwrap_or(i64::MAX).saturating_mul(1_000);
            let query = Some((rule.query.clone().unwrap_or_default(), every));
            return Ok(Self { query, values: HashSet::new(), asked_at: None, asking: None });
        };
        let at = folder.join(file);
        let wrong = |what: String| Unavailable(format!("`known_in`: `{}` {what}", at.display()));
        let text = std::fs::read_to_string(&at).map_err(|e| wrong(format!("cannot be read: {e}")))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let values = match &rule.column {
            Some(column) => column_of(text, column).map_err(wrong)?,
            None => text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect(),
        };
        if values.is_empty() || values.len() > MOST_VALUES {
            return Err(wrong(format!("holds {} values: 1 to {MOST_VALUES} are possible", values.len())));
        }
        Ok(Self { query: None, values, asked_at: None, asking: None })
    }

    /// Asks for the values when they are older than the rule allows. Only the first ones are waited for: from then on newer
    /// ones take over when they are there, and if asking fails, those that are there stay.
    pub async fn refresh(&mut self, clickhouse: Option<&ClickHouse>, now: i64) -> Result<(), Unavailable> {
        let Some((query, every)) = &self.query else { return Ok(()) };
        let Some(asked_at) = self.asked_at else {
            self.values = ask(clickhouse, query).await?;
            self.asked_at = Some(now);
            return Ok(());
        };
        if self.asking.as_ref().is_some_and(AbortOnDropHandle::is_finished)
            && let Some(asking) = self.asking.take()
        {
            match asking.await {
                Ok(Ok(values)) => self.values = values,
                Ok(Err(error)) => warn!(%error, "the values stay as they are"),
                Err(error) => warn!(%error, query, "asking failed inside of Driftmill; the values stay as they are"),
            }
        }
        if self.asking.is_none() && now >= asked_at.saturating_add(*every) {
            let (clickhouse, query) = (clickhouse.cloned(), query.clone());
            let asking = tokio::spawn(async move { ask(clickhouse.as_ref(), &query).await });
            self.asking = Some(AbortOnDropHandle::new(asking));
            self.asked_at = Some(now);
        }
        Ok(())
    }

    /// Whether the value is one of them.
    pub fn contains(&self, value: &str) -> bool {
        self.values.contains(value)
    }
}

fn column_of(text: &str, column: &str) -> Result<HashSet<String>, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| format!("is no CSV: {e}"))?;
    let Some(place) = header.iter().position(|name| name == column) else {
        let near = driftmill_schemas::name::did_you_mean(column, header.iter());
        return Err(format!("has no column `{column}`{near}"));
    };
    let mut values = HashSet::new();
    for record in reader.records() {
        let record = record.map_err(|e| format!("is no CSV: {e}"))?;
        values.extend(record.get(place).filter(|value| !value.is_empty()).map(str::to_owned));
    }
    Ok(values)
}

async fn ask(clickhouse: Option<&ClickHouse>, query: &str) -> Result<HashSet<String>, Unavailable> {
    let wrong = |what: String| {
        let shown: String = query.chars().take(120).collect();
        Unavailable(format!("`known_in`: the query `{shown}` {what}"))
    };
    let Some(clickhouse) = clickhouse else {
        return Err(wrong("needs ClickHouse, which is not there in a test of a pipeline: use a `file`".to_owned()));
    };
    let limit = MOST_VALUES.to_string();
    let asking = async {
        let query = clickhouse.client().query_raw(query);
        // It comes from a file that may be somebody else's: it reads, and nothing more.
        let query = query.with_setting("readonly", "2").with_setting("max_result_rows", limit);
        query.with_setting("result_overflow_mode", "throw").fetch_bytes("JSONCompactEachRow")?.collect().await
    };
    let answer = tokio::time::timeout(PATIENCE, asking).await;
    let answer = answer.map_err(|_| wrong(format!("took longer than {} s", PATIENCE.as_secs())))?;
    let answer = answer.map_err(|e| wrong(format!("failed: {e}")))?;
    let mut values = HashSet::new();
    for line in answer.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice::<Vec<Value>>(line).as_deref() {
            Ok([Value::Null]) => {}
            Ok([Value::String(text)]) => {
                values.insert(text.clone());
            }
            Ok([value]) => {
                values.insert(value.to_string());
            }
            _ => return Err(wrong("must give one column".to_owned())),
        }
    }
    // One that is just being filled again would refuse everything.
    if values.is_empty() || values.len() > MOST_VALUES {
        return Err(wrong(format!("gives {} values: 1 to {MOST_VALUES} are possible", values.len())));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, column: Option<&str>) -> Result<KnownValues, Unavailable> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("codes"), text).unwrap();
        let column = column.map(str::to_owned);
        let rule = KnownIn { file: Some("codes".to_owned()), column, query: None, refresh: 1 };
        KnownValues::new(&rule, folder.path())
    }

    #[test]
    fn a_file_holds_a_value_a_line_or_in_a_column() {
        let lines = read("\u{feff}DE\n FR \n\nIT", None).unwrap();
        assert!(lines.contains("DE") && lines.contains("FR") && lines.contains("IT") && !lines.contains(""));
        let column = read("name,code\nGermany,DE\n\"Korea, Republic of\",KR\nnowhere,\n", Some("code")).unwrap();
        assert!(column.contains("KR") && !column.contains("Germany") && !column.contains(""));
    }

    #[test]
    fn a_set_that_cannot_be_read_says_why() {
        let said = |text: &str, column| read(text, column).unwrap_err().to_string();
        assert!(said("name,code\nGermany,DE\n", Some("cod")).contains("did you mean `code`"));
        assert!(said("a,b\n1\n", Some("b")).contains("no CSV"));
        assert!(said("\n\n", None).contains("0 values"));
        let rule = KnownIn { file: Some("none".to_owned()), column: None, query: None, refresh: 1 };
        assert!(KnownValues::new(&rule, Path::new("/nowhere")).unwrap_err().to_string().contains("cannot be read"));
    }

    #[tokio::test]
    async fn a_query_without_an_engine_is_said_to_need_one() {
        let rule = KnownIn { file: None, column: None, query: Some("SELECT 1".to_owned()), refresh: 1 };
        let mut values = KnownValues::new(&rule, Path::new("")).unwrap();
        assert!(values.refresh(None, 0).await.unwrap_err().to_string().contains("use a `file`"));
    }
}
