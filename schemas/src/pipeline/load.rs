//! Reads a pipeline file: parse, validate, then build. Every error names file, line and what to do.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::Spanned;

use super::{Error, FORMAT_VERSION, Pipeline, Problem, Rule, SOURCE_KINDS, Source, SourceKind};
use crate::name;
use crate::record::{FieldKind, Mapping, RecordSchema};

/// A pipeline that passed every check that needs no running service, with what its file refers to.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// The schema of its raw records.
    pub schema: RecordSchema,
    /// The folder its relative paths start from.
    pub folder: PathBuf,
    /// Places of the file's parts, for errors found later (an expression that does not compile).
    pub places: Places,
}

/// Where in the file the parts of a pipeline stand: `(line, column)`, both from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    parts: BTreeMap<String, (u64, u64)>,
}

impl Places {
    /// The place of a part named like `features[2]`, `label` or `sources[0]`; `(0, 0)` when it is not in the file.
    pub fn of(&self, part: &str) -> (u64, u64) {
        self.parts.get(part).copied().unwrap_or_default()
    }

    /// A problem at that place.
    pub fn problem(&self, part: &str, message: impl Into<String>) -> Problem {
        let (line, column) = self.of(part);
        Problem { line, column, message: message.into() }
    }
}

/// Reads and checks the pipeline file at `path`, and the Avro schema it names.
pub fn load(path: &Path) -> Result<Loaded, Error> {
    let at_fault =
        |message: String| Error { file: path.to_owned(), problems: vec![Problem { line: 0, column: 0, message }] };
    let text = std::fs::read_to_string(path).map_err(|e| at_fault(format!("cannot be read: {e}")))?;
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    parse(&text, path, |relative| {
        std::fs::read_to_string(folder.join(relative)).map_err(|e| format!("`{relative}` cannot be read: {e}"))
    })
    .map(|(pipeline, schema, places)| Loaded { pipeline, schema, folder, places })
}

/// Parses and checks a pipeline file's text; `read` fetches the files it names.
pub fn parse(
    text: &str,
    file: &Path,
    read: impl Fn(&str) -> Result<String, String>,
) -> Result<(Pipeline, RecordSchema, Places), Error> {
    let fail = |problems: Vec<Problem>| Error { file: file.to_owned(), problems };
    let pipeline: Pipeline = serde_saphyr::from_str(text).map_err(|e| fail(vec![syntax_problem(&e)]))?;
    let places = places(text);
    let mut problems = Vec::new();
    let schema = match read(&pipeline.schema) {
        Err(message) => {
            problems.push(places.problem("schema", message));
            None
        }
        Ok(avro) => match RecordSchema::parse(&avro) {
            Ok(schema) => Some(schema),
            Err(e) => {
                problems.push(places.problem("schema", format!("`{}`: {e}", pipeline.schema)));
                None
            }
        },
    };
    problems.extend(faults(&pipeline, schema.as_ref(), &places));
    problems.extend(written_schemas(&pipeline, schema.as_ref(), &places, &read));
    match schema {
        Some(schema) if problems.is_empty() => Ok((pipeline, schema, places)),
        _ => {
            problems.sort_by_key(|problem| (problem.line, problem.column));
            Err(fail(problems))
        }
    }
}

/// The JSON Schema of the pipeline file, for editors.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Pipeline).to_value()
}

fn syntax_problem(error: &serde_saphyr::Error) -> Problem {
    let location = error.location();
    let text = error.without_snippet().to_string();
    // The first line is the fault itself; the parser may add a picture of the source below it.
    let first = text.lines().next().unwrap_or_default();
    let first = first.split(" at line ").next().unwrap_or(first).trim_start_matches("error: ");
    Problem {
        line: location.map_or(0, |at| at.line()),
        column: location.map_or(0, |at| at.column()),
        message: format!("{first}{}", name::hint_for(first)),
    }
}

/// The same document once more, read only for places.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Marks {
    version: Option<Spanned<IgnoredAny>>,
    name: Option<Spanned<IgnoredAny>>,
    schema: Option<Spanned<IgnoredAny>>,
    topics: Option<Spanned<IgnoredAny>>,
    entity: Option<Spanned<IgnoredAny>>,
    event_time: Option<Spanned<IgnoredAny>>,
    sources: Vec<Spanned<IgnoredAny>>,
    expectations: Vec<Spanned<IgnoredAny>>,
    features: Vec<Spanned<IgnoredAny>>,
    label: Option<Spanned<IgnoredAny>>,
    training: Option<Spanned<IgnoredAny>>,
    promotion: Option<Spanned<IgnoredAny>>,
    drift: Option<Spanned<IgnoredAny>>,
    serving: Option<Spanned<IgnoredAny>>,
}

fn places(text: &str) -> Places {
    let marks: Marks = serde_saphyr::from_str(text).unwrap_or_default();
    let mut parts = BTreeMap::new();
    let mut note = |part: String, mark: &Spanned<IgnoredAny>| {
        parts.insert(part, (mark.referenced.line(), mark.referenced.column()));
    };
    let single = [
        ("version", &marks.version),
        ("name", &marks.name),
        ("schema", &marks.schema),
        ("topics", &marks.topics),
        ("entity", &marks.entity),
        ("event_time", &marks.event_time),
        ("label", &marks.label),
        ("training", &marks.training),
        ("promotion", &marks.promotion),
        ("drift", &marks.drift),
        ("serving", &marks.serving),
    ];
    for (part, mark) in single {
        if let Some(mark) = mark {
            note(part.to_owned(), mark);
        }
    }
    for (list, marks) in
        [("sources", &marks.sources), ("expectations", &marks.expectations), ("features", &marks.features)]
    {
        for (index, mark) in marks.iter().enumerate() {
            note(format!("{list}[{index}]"), mark);
        }
    }
    Places { parts }
}

fn faults(pipeline: &Pipeline, schema: Option<&RecordSchema>, places: &Places) -> Vec<Problem> {
    let mut found = Faults { places, problems: Vec::new() };
    if pipeline.version != FORMAT_VERSION {
        found.add(
            "version",
            format!("version {} is not known here: this build reads {FORMAT_VERSION}", pipeline.version),
        );
    }
    if let Err(e) = name::check(&pipeline.name) {
        found.add("name", e.to_string());
    }
    if !(1..=1000).contains(&pipeline.topics.partitions) {
        found.add("topics", format!("{} partitions: give 1 to 1000", pipeline.topics.partitions));
    }
    found.check_features(pipeline);
    found.check_sources(pipeline, schema);
    found.check_expectations(pipeline, schema);
    found.check_label(pipeline, schema);
    found.check_training(pipeline);
    found.check_drift(pipeline);
    if let Some(entity) = &pipeline.entity {
        found.check_field("entity", entity, schema);
    }
    for (part, field) in [("label", Some(&pipeline.label.field)), ("entity", pipeline.entity.as_ref())] {
        let kind = field.and_then(|field| schema?.field(field)).map(|field| field.kind);
        if let (Some(field), Some(FieldKind::Bytes)) = (field, kind) {
            found.add(part, format!("field `{field}` holds bytes, which are no {part}: name another"));
        }
    }
    if let (Some(field), Some(schema)) = (&pipeline.event_time, schema) {
        found.check_field("event_time", field, Some(schema));
        if schema.field(field).is_some_and(|f| f.kind != FieldKind::Timestamp) {
            found.add(
                "event_time",
                format!("field `{field}` is no timestamp: give it the logical type timestamp-millis"),
            );
        }
    }
    found.problems
}

/// What is wrong with the schemas that other topics are said to be written with.
fn written_schemas(
    pipeline: &Pipeline,
    schema: Option<&RecordSchema>,
    places: &Places,
    read: &impl Fn(&str) -> Result<String, String>,
) -> Vec<Problem> {
    let fault = |source: &Source| {
        let (topic, schema) = (source.topic.as_ref()?, schema?);
        let path = topic.schema.as_ref()?;
        let written = read(path).and_then(|text| RecordSchema::parse(&text).map_err(|e| format!("`{path}`: {e}")));
        let mapped = written.and_then(|written| {
            Mapping::renamed(&written, schema, &topic.columns, &topic.ignore).map_err(|e| format!("`{path}`: {e}"))
        });
        mapped.err()
    };
    let numbered = pipeline.sources.iter().enumerate();
    numbered.filter_map(|(index, source)| Some(places.problem(&format!("sources[{index}]"), fault(source)?))).collect()
}

struct Faults<'a> {
    places: &'a Places,
    problems: Vec<Problem>,
}

impl Faults<'_> {
    fn add(&mut self, part: &str, message: impl Into<String>) {
        self.problems.push(self.places.problem(part, message));
    }

    fn check_field(&mut self, part: &str, field: &str, schema: Option<&RecordSchema>) {
        if let Some(schema) = schema
            && schema.field(field).is_none()
        {
            let near = name::did_you_mean(field, schema.names());
            self.add(part, format!("the schema has no field `{field}`{near}"));
        }
    }

    fn check_features(&mut self, pipeline: &Pipeline) {
        if pipeline.features.is_empty() {
            self.add("features", "a model needs at least one feature");
        }
        let mut seen = HashSet::new();
        for (index, feature) in pipeline.features.iter().enumerate() {
            let part = format!("features[{index}]");
            if let Err(e) = name::check(&feature.name) {
                self.add(&part, e.to_string());
            }
            if !seen.insert(&feature.name) {
                self.add(&part, format!("feature `{}` is declared twice", feature.name));
            }
            if feature.name == "label" || feature.name == "entity" || feature.name == "event_time" {
                self.add(&part, format!("`{}` is a column of every feature table: choose another name", feature.name));
            }
        }
    }

    fn check_expectations(&mut self, pipeline: &Pipeline, schema: Option<&RecordSchema>) {
        let mut seen = HashSet::new();
        for (index, expectation) in pipeline.expectations.iter().enumerate() {
            let part = format!("expectations[{index}]");
            if expectation.name.as_deref().is_some_and(|name| name.trim().is_empty()) {
                self.add(&part, "`name` is empty: breaches are told by it");
            }
            if !seen.insert(expectation.title()) {
                self.add(&part, format!("`{}` is declared twice: give one a `name`", expectation.title()));
            }
            if let Some(field) = &expectation.field {
                self.check_field(&part, field, schema);
            }
            match expectation.rule() {
                Err(message) => self.add(&part, message),
                Ok(Rule::Unique(rule)) => rule.fields.iter().for_each(|field| self.check_field(&part, field, schema)),
                Ok(Rule::Fresh(field, _)) => match field.or(pipeline.event_time.as_deref()) {
                    None => self.add(&part, "`fresh`: say which `field` tells when the record happened"),
                    Some(field) => {
                        let kind = schema.and_then(|schema| schema.field(field)).map(|field| field.kind);
                        if kind.is_some_and(|kind| kind != FieldKind::Timestamp) {
                            self.add(&part, format!("`fresh`: `{field}` is no timestamp-millis"));
                        }
                    }
                },
                Ok(_) => {}
            }
        }
    }

    fn check_sources(&mut self, pipeline: &Pipeline, schema: Option<&RecordSchema>) {
        let mut seen = HashSet::new();
        for (index, source) in pipeline.sources.iter().enumerate() {
            let part = format!("sources[{index}]");
            if let Err(e) = name::check(&source.name) {
                self.add(&part, e.to_string());
            }
            if !seen.insert(&source.name) {
                self.add(&part, format!("source `{}` is declared twice", source.name));
            }
            if source.rate.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
                self.add(&part, "`rate` is records a second: give a number above 0, or leave it out");
            }
            match source.kind() {
                None => self.add(&part, SOURCE_KINDS),
                Some(SourceKind::Csv(csv)) => {
                    for field in csv.columns.values().chain(csv.replace.keys()) {
                        self.check_field(&part, field, schema);
                    }
                }
                Some(SourceKind::JsonLines(lines)) => {
                    for field in lines.columns.values() {
                        self.check_field(&part, field, schema);
                    }
                }
                Some(SourceKind::Parquet(parquet)) => {
                    for field in parquet.columns.values() {
                        self.check_field(&part, field, schema);
                    }
                }
                Some(SourceKind::Http(http)) => {
                    for field in http.fields() {
                        self.check_field(&part, field, schema);
                    }
                    http.faults(schema).into_iter().for_each(|fault| self.add(&part, fault));
                }
                Some(SourceKind::Topic(topic)) => {
                    for field in topic.columns.values() {
                        self.check_field(&part, field, schema);
                    }
                    topic.faults(&pipeline.name).into_iter().for_each(|fault| self.add(&part, fault));
                }
                Some(SourceKind::Images(images)) => {
                    for field in images.fields.values() {
                        self.check_field(&part, field, schema);
                    }
                    images.faults(schema).into_iter().for_each(|fault| self.add(&part, fault));
                }
                Some(SourceKind::Synthetic(synthetic)) => {
                    for field in synthetic.fields.keys().chain(synthetic.drift.iter().map(|d| &d.field)) {
                        self.check_field(&part, field, schema);
                    }
                    self.check_synthetic(&part, synthetic, pipeline);
                }
            }
        }
    }

    fn check_synthetic(&mut self, part: &str, synthetic: &super::SyntheticSource, pipeline: &Pipeline) {
        for (field, how) in &synthetic.fields {
            if how.draw.is_none() && how.by_class.is_empty() {
                self.add(part, format!("field `{field}` is not drawn: give it `draw` or `by_class`"));
            }
            if !(0.0..=1.0).contains(&how.missing) {
                self.add(part, format!("field `{field}`: `missing` is a share between 0 and 1"));
            }
            for class in how.by_class.keys().filter(|class| pipeline.label.class_index(class).is_none()) {
                let near = name::did_you_mean(class, pipeline.label.classes.iter().map(String::as_str));
                self.add(part, format!("field `{field}`: the label has no class `{class}`{near}"));
            }
        }
        for change in synthetic.drift.iter().filter(|change| !synthetic.fields.contains_key(&change.field)) {
            self.add(part, format!("`drift` changes `{}`, which this source does not draw", change.field));
        }
        if let Some(outcome) = &synthetic.outcome {
            if outcome.weights.len() != pipeline.label.classes.len() {
                let (given, classes) = (outcome.weights.len(), pipeline.label.classes.len());
                self.add(part, format!("`outcome` has {given} weights for {classes} classes"));
            }
            if outcome.weights.iter().any(|w| !(*w >= 0.0 && w.is_finite()))
                || outcome.weights.iter().sum::<f64>() <= 0.0
            {
                self.add(part, "`outcome`: weights are numbers from 0 up, and not all 0");
            }
            if !outcome.depends_on.is_empty() && pipeline.label.classes.len() != 2 {
                self.add(part, "`depends_on` works on log-odds: the label must have two classes");
            }
        }
    }

    fn check_label(&mut self, pipeline: &Pipeline, schema: Option<&RecordSchema>) {
        let label = &pipeline.label;
        self.check_field("label", &label.field, schema);
        let distinct: HashSet<_> = label.classes.iter().collect();
        if label.classes.len() < 2 || distinct.len() != label.classes.len() {
            self.add("label", "`classes` needs two or more names, each once");
        }
        if label.classes.len() > 10_000 {
            self.add("label", format!("{} classes: at most 10000 are supported", label.classes.len()));
        }
        if let Some(positive) = label.positive.as_deref()
            && label.class_index(positive).is_none()
        {
            let near = name::did_you_mean(positive, label.classes.iter().map(String::as_str));
            self.add("label", format!("`positive: {positive}` is none of the classes{near}"));
        }
    }

    fn check_training(&mut self, pipeline: &Pipeline) {
        let split = &pipeline.training.split;
        if !(split.test > 0.0 && split.test <= 0.9 && split.validation >= 0.0 && split.test + split.validation < 1.0) {
            self.add("training", "`split`: the test share is above 0, and test + validation leave something to fit");
        }
        if pipeline.training.newest_rows.is_some_and(|newest| newest < pipeline.training.min_rows) {
            self.add("training", "`newest_rows` is below `min_rows`: no training could ever start");
        }
        let promotion = &pipeline.promotion;
        if !(promotion.confidence > 0.5 && promotion.confidence < 1.0) {
            self.add("promotion", "`confidence` lies between 0.5 and 1, such as 0.95");
        }
    }

    fn check_drift(&mut self, pipeline: &Pipeline) {
        let drift = &pipeline.drift;
        if drift.window_rows < 30 {
            self.add("drift", format!("`window_rows: {}`: fewer than 30 rows decide nothing", drift.window_rows));
        }
        if !(drift.alpha > 0.0 && drift.alpha < 1.0) {
            self.add("drift", "`alpha` lies between 0 and 1, such as 0.01");
        }
        if drift.windows == 0 || drift.windows > drift.of_windows {
            self.add("drift", "`windows` of `of_windows` must agree: give 1 ≤ windows ≤ of_windows");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AVRO: &str = r#"{"type":"record","name":"r","fields":[
        {"name":"length","type":"double"},{"name":"species","type":["null","string"]}]}"#;
    const GOOD: &str = "version: 1
name: flowers
schema: record.avsc
features:
  - name: length
label:
  field: species
  classes: [a, b]
training:
  algorithm: constant
";

    fn read(text: &str) -> Result<(Pipeline, RecordSchema, Places), Error> {
        parse(text, Path::new("pipeline.yaml"), |_| Ok(AVRO.to_owned()))
    }

    #[test]
    fn a_small_file_is_enough() {
        let (pipeline, schema, places) = read(GOOD).unwrap();
        assert_eq!((pipeline.name.as_str(), schema.fields.len()), ("flowers", 2));
        assert_eq!(places.of("features[0]").0, 5);
    }

    #[test]
    fn every_fault_is_told_with_its_line_and_the_way_out() {
        let cases = [
            (GOOD.replace("features:", "featurs:"), 4, "did you mean `features`"),
            (GOOD.replace("field: species", "field: specie"), 7, "did you mean `species`"),
            (GOOD.replace("classes: [a, b]", "classes: [a]"), 7, "two or more"),
            (GOOD.replace("name: flowers", "name: Flowers"), 2, "lower-case"),
            (GOOD.replace("version: 1", "version: 9"), 1, "reads 1"),
            (format!("{GOOD}drift:\n  windows: 4\n"), 12, "windows"),
            (format!("{GOOD}sources:\n  - name: s\n"), 12, "exactly one of"),
            (
                format!("{GOOD}sources:\n  - name: s\n    csv: {{ path: a }}\n    parquet: {{ path: a }}\n"),
                12,
                "exactly one of",
            ),
            (
                format!("{GOOD}sources:\n  - name: s\n    parquet:\n      path: a\n      columns: {{ len: lenght }}\n"),
                12,
                "did you mean `length`",
            ),
            (format!("{GOOD}sources:\n  - name: s\n    parquet:\n      paht: a\n"), 14, "did you mean `path`"),
            (format!("{GOOD}expectations:\n  - {{ unique: {{ fields: [lenght] }} }}\n"), 12, "did you mean `length`"),
            (format!("{GOOD}expectations:\n  - {{ fresh: {{ within: 5 }} }}\n"), 12, "which `field`"),
            (format!("{GOOD}expectations:\n  - {{ field: length, fresh: {{ within: 5 }} }}\n"), 12, "no timestamp"),
            (format!("{GOOD}expectations:\n  - {{ sql: length > 1 }}\n  - {{ sql: length > 1 }}\n"), 13, "twice"),
        ];
        for (text, line, expected) in cases {
            let error = read(&text).unwrap_err();
            let problem = &error.problems[0];
            assert!(problem.message.contains(expected), "{error}");
            assert_eq!(problem.line, line, "{error}");
        }
    }

    #[test]
    fn several_faults_come_in_the_order_of_the_file() {
        let text = GOOD.replace("name: flowers", "name: Flowers").replace("[a, b]", "[a, a]");
        let lines: Vec<u64> = read(&text).unwrap_err().problems.iter().map(|p| p.line).collect();
        assert_eq!(lines, [2, 7]);
    }

    #[test]
    fn the_json_schema_names_every_part() {
        let schema = json_schema().to_string();
        for part in ["expectations", "sources", "promotion", "cool_down", "by_class"] {
            assert!(schema.contains(part), "{part}");
        }
    }
}
