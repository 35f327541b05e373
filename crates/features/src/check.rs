//! Compiles a loaded pipeline and reports faults at their place in its file.

use driftmill_schemas::pipeline::{Loaded, Problem};

use crate::{Conditions, Program};

/// The compiled features and expectations of a pipeline, or everything wrong with them, in the order of the file.
pub fn check(loaded: &Loaded) -> Result<(Program, Conditions), Vec<Problem>> {
    let pipeline = &loaded.pipeline;
    let mut problems = Vec::new();
    let program = Program::compile(&loaded.schema, &pipeline.features);
    for (index, error) in program.as_ref().err().into_iter().flatten() {
        let message = format!("feature `{}`: {error}", pipeline.features[*index].name);
        problems.push(loaded.places.problem(&format!("features[{index}]"), message));
    }
    let conditions = Conditions::compile(&loaded.schema, &pipeline.expectations);
    for (index, error) in conditions.as_ref().err().into_iter().flatten() {
        let message = format!("expectation `{}`: {error}", shorten(&pipeline.expectations[*index].title()));
        problems.push(loaded.places.problem(&format!("expectations[{index}]"), message));
    }
    problems.sort_by_key(|problem| (problem.line, problem.column));
    match (program, conditions) {
        (Ok(program), Ok(conditions)) => Ok((program, conditions)),
        _ => Err(problems),
    }
}

fn shorten(title: &str) -> String {
    const SHOWN: usize = 60;
    if title.chars().count() <= SHOWN {
        return title.to_owned();
    }
    title.chars().take(SHOWN).chain(['…']).collect()
}
