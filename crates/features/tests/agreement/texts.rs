//! The naive functions of texts.

use crate::interpreter::Val;

pub fn call(name: &str, args: &[Val]) -> Val {
    let Val::Text(a) = &args[0] else { panic!("{:?} is no text", args[0]) };
    let text = |index: usize| match &args[index] {
        Val::Text(text) => text.clone(),
        other => panic!("{other:?} is no text"),
    };
    match name {
        "like" => Val::Bool(like(&a.chars().collect::<Vec<_>>(), &text(1).chars().collect::<Vec<_>>())),
        "ilike" => {
            let lower = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
            Val::Bool(like(&lower(a), &lower(&text(1))))
        }
        "regexp_like" => Val::Bool(match text(1).as_str() {
            "^a" => a.starts_with('a'),
            "c$" => a.ends_with('c'),
            _ => a.contains(|c: char| c.is_ascii_digit()),
        }),
        "length" => Val::Int(a.chars().count() as i64),
        "lower" => Val::Text(a.to_lowercase()),
        "upper" => Val::Text(a.to_uppercase()),
        "||" => Val::Text(a.clone() + &text(1)),
        "trim" => Val::Text(a.trim_matches(' ').to_owned()),
        "trim leading" => Val::Text(a.trim_start_matches(' ').to_owned()),
        "trim trailing" => Val::Text(a.trim_end_matches(' ').to_owned()),
        "substring" | "from" => {
            let bound = |index: usize| match args.get(index) {
                Some(Val::Int(value)) => i128::from(*value),
                _ => i128::MAX / 2,
            };
            if bound(2) < 0 {
                return Val::Null;
            }
            let positions = bound(1)..bound(1).saturating_add(bound(2));
            let kept = a.chars().zip(1..).filter(|(_, position)| positions.contains(position));
            Val::Text(kept.map(|(character, _)| character).collect())
        }
        other => panic!("{other}"),
    }
}

/// `!` escapes.
fn like(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['!', next, rest @ ..] => text.first() == Some(next) && like(&text[1..], rest),
        ['%', rest @ ..] => (0..=text.len()).any(|skip| like(&text[skip..], rest)),
        ['_', rest @ ..] => !text.is_empty() && like(&text[1..], rest),
        [next, rest @ ..] => text.first() == Some(next) && like(&text[1..], rest),
    }
}
