//! When rows of the feature table become visible, without asking the engine all the time: a question takes it some
//! milliseconds, and dozens of them a second are a good part of what is measured. A part that is written shows as a folder;
//! then, and only then, the table is asked, and what it answers is visible.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use crate::stack::Engine;

/// The blocks of a part, by its name `<partition>_<first>_<last>_<level>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    first: u64,
    last: u64,
    name: String,
}

impl Part {
    fn parse(name: &str) -> Option<Self> {
        let mut fields = name.strip_prefix("all_")?.split('_');
        let (first, last) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        fields.next()?.parse::<u32>().ok()?;
        fields.next().is_none().then(|| Self { first, last, name: name.to_owned() })
    }
}

/// The highest new offset of a partition, and how many rows are new.
pub type News = BTreeMap<usize, (i64, u64)>;

/// Follows what becomes visible of one table.
#[derive(Debug)]
pub struct Visible {
    table: String,
    folder: PathBuf,
    /// Blocks up to this one are known.
    block: u64,
}

impl Visible {
    /// From now on: the parts there are hold nothing new. The engine must be on this machine.
    pub async fn of(engine: &Engine, table: &str) -> anyhow::Result<Self> {
        let query =
            format!("SELECT data_paths[1] FROM system.tables WHERE database = currentDatabase() AND name = '{table}'");
        let folder = PathBuf::from(engine.sql(&query).await?);
        anyhow::ensure!(folder.is_dir(), "`{}` is no folder of this machine", folder.display());
        let mut visible = Self { table: table.to_owned(), folder, block: 0 };
        visible.block = visible.parts()?.iter().map(|part| part.last).max().unwrap_or(0);
        Ok(visible)
    }

    /// Parts with blocks that are not known, also those that are no part of the table yet, or not any more.
    fn parts(&self) -> anyhow::Result<Vec<Part>> {
        let mut parts = Vec::new();
        for entry in std::fs::read_dir(&self.folder).context("the table's folder")? {
            let part = entry.ok().and_then(|entry| Part::parse(entry.file_name().to_str()?));
            parts.extend(part.filter(|part| part.last > self.block));
        }
        Ok(parts)
    }

    /// What is visible beyond the offsets `reached`, by partition; nothing where there is no new part.
    pub async fn look(&mut self, engine: &Engine, reached: &[i64]) -> anyhow::Result<News> {
        let parts = self.parts()?;
        let mut news = News::new();
        if parts.is_empty() {
            return Ok(news);
        }
        let conditions: Vec<String> =
            reached.iter().enumerate().map(|(p, o)| format!("(_partition = {p} AND _offset > {o})")).collect();
        let names: Vec<String> = parts.iter().map(|part| format!("'{}'", part.name)).collect();
        let query = format!(
            "SELECT _part, _partition, max(_offset), count() FROM {} WHERE _part IN ({}) AND ({}) \
             GROUP BY _part, _partition SETTINGS max_threads = 1",
            self.table,
            names.join(", "),
            conditions.join(" OR ")
        );
        let text = engine.sql(&query).await?;
        let mut shown = Vec::new();
        for line in text.lines() {
            let mut fields = line.split('\t');
            let part = fields.next().and_then(Part::parse);
            let mut number = || fields.next().and_then(|field| field.parse::<i64>().ok());
            let (Some(part), Some(partition), Some(to), Some(rows)) = (part, number(), number(), number()) else {
                bail!("the table answers `{line}`");
            };
            let of = news.entry(usize::try_from(partition)?).or_insert((to, 0));
            *of = (of.0.max(to), of.1 + u64::try_from(rows)?);
            shown.push(part);
        }
        self.block = reach(self.block, parts, &shown);
        Ok(news)
    }
}

/// The block up to which everything is known, when of `listed` parts those were `shown`. One that was not is no part of the
/// table yet, or was merged into another meanwhile, and is looked for again.
fn reach(mut block: u64, mut listed: Vec<Part>, shown: &[Part]) -> u64 {
    listed.sort();
    for part in &listed {
        let is_known = part.last <= block || shown.iter().any(|one| one.first <= part.first && part.last <= one.last);
        if !is_known {
            break;
        }
        block = block.max(part.last);
    }
    block
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parts(names: &[&str]) -> Vec<Part> {
        names.iter().map(|name| Part::parse(name).unwrap()).collect()
    }

    #[test]
    fn folders_that_are_no_parts_are_passed_over() {
        for name in ["detached", "tmp_insert_all_3_3_0", "all_1", "all_1_2_x", "all_1_2_3_4", "format_version.txt"] {
            assert_eq!(Part::parse(name), None, "{name}");
        }
        assert_eq!(Part::parse("all_4_9_2").map(|part| (part.first, part.last)), Some((4, 9)));
    }

    #[test]
    fn what_was_not_shown_is_looked_for_again() {
        let listed = || parts(&["all_8_8_0", "all_7_7_0", "all_9_9_0"]);
        assert_eq!(reach(6, listed(), &listed()), 9);
        assert_eq!(reach(6, listed(), &parts(&["all_7_7_0", "all_9_9_0"])), 7);
        assert_eq!(reach(6, listed(), &parts(&["all_1_9_1"])), 9, "merged before it was asked");
        assert_eq!(reach(6, parts(&["all_1_6_1", "all_7_7_0"]), &parts(&["all_7_7_0"])), 7);
    }
}
