//! How old a record is when it arrives. Both times come with the record, so that the answer never changes.

use driftmill_schemas::pipeline::Fresh;

/// What is wrong with a record that happened at `happened` and arrived at `arrived`, both in milliseconds since 1970 UTC.
/// Where either is not known (`None`; Kafka says -1), nothing is.
pub fn stale(rule: Fresh, happened: Option<i64>, arrived: i64) -> Option<String> {
    let happened = happened?;
    if arrived < 0 {
        return None;
    }
    // Whatever a record claims, this does not overflow.
    let age = i128::from(arrived) - i128::from(happened);
    let seconds = |millis: i128| millis as f64 / 1e3;
    if age > i128::from(rule.within) * 1_000 {
        return Some(format!("it arrived {} s after it happened", seconds(age)));
    }
    if -age > i128::from(rule.ahead) * 1_000 {
        return Some(format!("it arrived {} s before it happened", seconds(-age)));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_as_old_as_its_arrival_says() {
        let rule = Fresh { within: 10, ahead: 2 };
        let cases = [
            (Some(90_000), 100_000, None),
            (Some(89_999), 100_000, Some("10.001 s after")),
            (Some(102_000), 100_000, None),
            (Some(102_500), 100_000, Some("2.5 s before")),
            (None, 100_000, None),
            (Some(0), -1, None),
            (Some(i64::MIN), i64::MAX, Some("after")),
        ];
        for (happened, arrived, wanted) in cases {
            let said = stale(rule, happened, arrived);
            match (&said, wanted) {
                (None, None) => {}
                (Some(said), Some(wanted)) => assert!(said.contains(wanted), "{said}"),
                _ => panic!("{happened:?} {arrived}: {said:?}"),
            }
        }
    }
}
