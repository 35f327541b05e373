//! What can be wrong with a pipeline file whose parts are all there.

use std::collections::HashSet;

use super::super::{
    Distribution, FORMAT_VERSION, FeatureType, Metric, Pipeline, Problem, Rule, SOURCE_KINDS, Search, SourceKind,
    SplitBy, SyntheticSource,
};
use super::Places;
use crate::name;
use crate::record::{FieldKind, RecordSchema};

/// Everything that is wrong; what is about fields only if the schema could be read.
pub(super) fn faults(pipeline: &Pipeline, schema: Option<&RecordSchema>, places: &Places) -> Vec<Problem> {
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
            if let Some(fault) = feature.fault() {
                self.add(&part, fault);
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
                    for field in csv.fields() {
                        self.check_field(&part, field, schema);
                    }
                    csv.faults(schema).into_iter().for_each(|fault| self.add(&part, fault));
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
                    self.check_synthetic(&part, synthetic, pipeline, schema);
                }
            }
        }
    }

    fn check_synthetic(
        &mut self,
        part: &str,
        synthetic: &SyntheticSource,
        pipeline: &Pipeline,
        schema: Option<&RecordSchema>,
    ) {
        for (field, how) in &synthetic.fields {
            if how.draw.is_none() && how.by_class.is_empty() {
                self.add(part, format!("field `{field}` is not drawn: give it `draw` or `by_class`"));
            }
            for drawn in how.draw.iter().chain(how.by_class.values()) {
                let misfit = schema.and_then(|schema| schema.field(field)).and_then(|field| drawn.misfit(field.kind));
                if let Some(fault) = drawn.check().err().or(misfit) {
                    self.add(part, format!("field `{field}`: {fault}"));
                }
                if let Distribution::Sha256 { of } = drawn {
                    self.check_field(part, of, schema);
                }
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
            if pipeline.label.is_value() {
                self.add(part, "`outcome` draws a class, and the label is a number: draw it as one of the `fields`");
            }
            if !outcome.depends_on.is_empty() && pipeline.label.classes.len() != 2 {
                self.add(part, "`depends_on` works on log-odds: the label must have two classes");
            }
        }
    }

    fn check_label(&mut self, pipeline: &Pipeline, schema: Option<&RecordSchema>) {
        let label = &pipeline.label;
        self.check_field("label", &label.field, schema);
        if label.is_value() {
            let field = schema.and_then(|schema| schema.field(&label.field));
            if field.is_some_and(|field| !field.kind.is_numeric()) {
                self.add("label", format!("`{}` is no number: name its `classes`", label.field));
            }
            if label.positive.is_some() {
                self.add("label", "`positive` is one of the `classes`, and there are none");
            }
            return;
        }
        let distinct: HashSet<_> = label.classes.iter().collect();
        if (label.classes.len() < 2 && !label.open) || distinct.len() != label.classes.len() {
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
        if split.by == SplitBy::Entity && pipeline.entity.is_none() {
            self.add("training", "`split: { by: entity }`: say with `entity` which field names what a record is about");
        }
        for fault in pipeline.training.search.iter().flat_map(Search::faults) {
            self.add("training", fault);
        }
        if pipeline
            .training
            .warm_start
            .as_ref()
            .is_some_and(|warm| warm.rounds == 0 || warm.most_rounds < warm.rounds || warm.most_rounds > 10_000)
        {
            self.add("training", "`warm_start`: `rounds` is 1 or more, and `most_rounds` lies between that and 10000");
        }
        for fault in pipeline.training.timing_faults() {
            self.add("training", fault);
        }
        let promotion = &pipeline.promotion;
        if promotion.metric.is_of_values() != pipeline.label.is_value() {
            let allowed = if pipeline.label.is_value() { Metric::OF_VALUES } else { Metric::OF_CLASSES };
            let names: Vec<String> = allowed.iter().map(|metric| format!("`{}`", metric.name())).collect();
            let what = if pipeline.label.is_value() { "a number" } else { "a class" };
            let part = if self.places.has("promotion") { "promotion" } else { "label" };
            self.add(
                part,
                format!("the label is {what}: compare models by `promotion.metric`, one of {}", names.join(", ")),
            );
        }
        for fault in promotion.faults() {
            self.add("promotion", fault);
        }
        for fault in pipeline.rollout.faults() {
            self.add("rollout", fault);
        }
        if promotion.gold.is_some() && pipeline.training.algorithm == "forecast" {
            let fault =
                "`gold`: forecasts are judged from many origins in the newest rows, and have no gold set; leave it out";
            self.add("promotion", fault);
        }
        for name in &promotion.slices {
            let known = pipeline.features.iter().map(|feature| feature.name.as_str());
            match pipeline.features.iter().find(|feature| feature.name == *name) {
                Some(feature) if feature.kind != FeatureType::Image => {}
                Some(_) => {
                    self.add("promotion", format!("`slices`: `{name}` is an image, and has no values to slice by"))
                }
                None => {
                    let near = name::did_you_mean(name, known);
                    self.add("promotion", format!("`slices` names `{name}`, which is no feature{near}"));
                }
            }
        }
    }

    fn check_drift(&mut self, pipeline: &Pipeline) {
        for fault in pipeline.drift.faults(&pipeline.features) {
            self.add("drift", fault);
        }
    }
}
