//! What `driftmill check` can say of a pipeline without a running service.

use driftmill_features::{Conditions, Program};
use driftmill_schemas::pipeline::{Loaded, Problem, Rule};

use super::rules::KnownValues;

/// The compiled features and expectations of a pipeline, or everything wrong with them and with the files they name, in the
/// order of the file.
pub fn check(loaded: &Loaded) -> Result<(Program, Conditions), Vec<Problem>> {
    let compiled = driftmill_features::check(loaded);
    let mut unreadable = Vec::new();
    for (index, expectation) in loaded.pipeline.expectations.iter().enumerate() {
        if let Ok(Rule::KnownIn(_, rule)) = expectation.rule()
            && let Err(error) = KnownValues::new(rule, &loaded.folder)
        {
            unreadable.push(loaded.places.problem(&format!("expectations[{index}]"), error.to_string()));
        }
    }
    match compiled {
        Ok(compiled) if unreadable.is_empty() => Ok(compiled),
        compiled => {
            let mut problems = compiled.err().unwrap_or_default();
            problems.extend(unreadable);
            problems.sort_by_key(|problem| (problem.line, problem.column));
            Err(problems)
        }
    }
}
