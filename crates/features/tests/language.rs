//! What expressions mean, and what people are told about those that mean nothing.
#![allow(clippy::unwrap_used)]

use driftmill_features::{Columns, FeatureMatrix, Program, Scratch};
use driftmill_schemas::pipeline::Feature;
use driftmill_schemas::record::{Record, RecordSchema, Value};

const NULL: f64 = f64::NAN;

fn schema() -> RecordSchema {
    RecordSchema::parse(
        r#"{"type":"record","name":"r","fields":[
            {"name":"petal_length","type":"double"},{"name":"age","type":"int"},{"name":"id","type":"long"},
            {"name":"plan","type":["null","string"]},{"name":"active","type":"boolean"},
            {"name":"missing","type":["null","double"]},{"name":"user","type":"double"},{"name":"interval","type":"long"},
            {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}}]}"#,
    )
    .unwrap()
}

fn record() -> Record {
    let text = |text: &str| Value::String(text.to_owned());
    Record {
        values: vec![
            Value::Double(1.4),
            Value::Long(36),
            Value::Long(9_007_199_254_740_993),
            text(" Gold Straße "),
            Value::Boolean(true),
            Value::Null,
            Value::Double(7.0),
            Value::Long(5),
            // 2026-01-31 23:59:58.250, a Saturday.
            Value::Long(1_769_903_998_250),
        ],
    }
}

fn feature(sql: &str) -> Feature {
    Feature { name: "f".to_owned(), sql: Some(sql.to_owned()), ..Default::default() }
}

fn value(sql: &str) -> f64 {
    let program =
        Program::compile(&schema(), &[feature(sql)]).unwrap_or_else(|errors| panic!("{sql}: {}", errors[0].1));
    let mut out = FeatureMatrix::default();
    let columns = Columns::from_records(&schema(), &[record()]).unwrap();
    program.evaluate(&columns, &mut Scratch::default(), &mut out);
    out.column(0)[0]
}

fn error(sql: &str) -> String {
    match Program::compile(&schema(), &[feature(sql)]) {
        Ok(_) => panic!("{sql} compiles"),
        Err(errors) => errors[0].1.to_string(),
    }
}

#[test]
fn expressions_have_their_sql_values() {
    let cases = [
        ("petal_length * 2 + 1", 3.8),
        ("\"petal_length\"", 1.4),
        ("7 / 2", 3.5),
        ("age / 5", 7.2),
        ("-7 % 3", -1.0),
        ("2 + 3 * 4", 14.0),
        ("id = 9007199254740993", 1.0),
        ("id = 9007199254740992", 0.0),
        ("id IN (1, 9007199254740992)", 0.0),
        ("id + 1 = 9007199254740994", 1.0),
        ("9223372036854775807 + 1", NULL),
        ("-9223372036854775808 = -9223372036854775807 - 1", 1.0),
        ("active", 1.0),
        ("NOT active", 0.0),
        ("missing", NULL),
        ("missing > 1 OR active", 1.0),
        ("missing > 1 AND active", NULL),
        ("(missing > 1) IS TRUE", 0.0),
        ("missing IS NULL", 1.0),
        ("missing = NULL", NULL),
        ("NULL IS NULL", 1.0),
        ("age NOT BETWEEN 18.0 AND 30", 1.0),
        ("age IN (35, NULL)", NULL),
        ("age IN (36, NULL)", 1.0),
        ("age NOT IN (1, 2)", 1.0),
        ("missing IN (1)", NULL),
        ("1 / 0", NULL),
        ("1 % 0", NULL),
        ("SQRT(-1)", NULL),
        ("LN(0)", NULL),
        ("EXP(1000)", NULL),
        ("1e308 * 10", NULL),
        ("POWER(missing, 0)", NULL),
        ("POWER(2, 10)", 1024.0),
        ("LOG10(1000)", 3.0),
        ("ROUND(2.5) + ROUND(-2.5)", 0.0),
        ("ROUND(1.255, 1)", 1.3),
        ("ROUND(1254, -2)", 1300.0),
        ("FLOOR(-1.5) + CEIL(1.2) + CEILING(age)", 36.0),
        ("SIGN(-3) + SIGN(0.0) + ABS(-2)", 1.0),
        ("MOD(-7, 3)", -1.0),
        ("LEAST(3, missing, 1.5)", 1.5),
        ("GREATEST(3, missing, 1)", 3.0),
        ("LEAST(TRUE, FALSE)", 0.0),
        ("COALESCE(missing, age)", 36.0),
        ("NULLIF(age, 36)", NULL),
        ("CASE WHEN age > 40 THEN 1 WHEN age > 30 THEN 2.5 ELSE 3 END", 2.5),
        ("CASE age WHEN 1 THEN 1 END", NULL),
        ("CASE TRIM(plan) WHEN 'Gold Straße' THEN 2 ELSE 1 END", 2.0),
        ("LENGTH(TRIM(plan))", 11.0),
        ("LENGTH(UPPER(TRIM(plan)))", 12.0),
        ("LOWER(plan) = ' gold straße '", 1.0),
        ("plan LIKE '%Straße_'", 1.0),
        ("plan LIKE '%straße%'", 0.0),
        ("plan ILIKE '%straße%'", 1.0),
        ("'50%' LIKE '50!%' ESCAPE '!'", 1.0),
        ("'a.c' LIKE 'a.c' AND NOT 'abc' LIKE 'a.c'", 1.0),
        ("REGEXP_LIKE(plan, 'G.*d')", 1.0),
        ("SUBSTRING(plan FROM 2 FOR 4) = 'Gold'", 1.0),
        ("SUBSTRING(plan, 10) = 'aße '", 1.0),
        ("SUBSTRING('abc', -1, 3) = 'a'", 1.0),
        ("LENGTH(SUBSTRING('abc', 9, 1))", 0.0),
        ("SUBSTRING('abc', 1, -1) IS NULL", 1.0),
        ("CONCAT('a', NULL, 'b') = 'ab'", 1.0),
        ("'a' || NULL IS NULL", 1.0),
        ("TRIM(LEADING 'x' FROM 'xxax') = 'ax'", 1.0),
        ("CAST(' 1.5 ' AS DOUBLE)", 1.5),
        ("TRY_CAST('x' AS DOUBLE)", NULL),
        ("'7'::BIGINT", 7.0),
        ("CAST(-1.9 AS BIGINT)", -1.0),
        ("CAST(1e300 AS BIGINT)", NULL),
        ("CAST(petal_length AS VARCHAR) = '1.4' AND CAST(1.0 AS VARCHAR) = '1'", 1.0),
        ("CAST(id AS VARCHAR) = '9007199254740993'", 1.0),
        ("CAST(active AS VARCHAR) = 'true'", 1.0),
        ("CAST(active AS DOUBLE) + CAST('FALSE' AS BOOLEAN)::BIGINT", 1.0),
        ("CAST(at AS VARCHAR) = '2026-01-31T23:59:58.250Z'", 1.0),
        ("EXTRACT(YEAR FROM at) * 100 + EXTRACT(MONTH FROM at)", 202_601.0),
        ("EXTRACT(DAY FROM at)", 31.0),
        ("EXTRACT(DOW FROM at)", 6.0),
        ("EXTRACT(HOUR FROM at) * 60 + EXTRACT(MINUTE FROM at)", 1_439.0),
        ("EXTRACT(EPOCH FROM at)", 1_769_903_998.25),
        ("at > TIMESTAMP '2026-01-31 23:59:58' AND at < CAST('2026-02-01' AS TIMESTAMP)", 1.0),
        ("age IS NOT DISTINCT FROM 36.0", 1.0),
        ("missing IS DISTINCT FROM NULL", 0.0),
        ("user + interval", 12.0),
        ("age -- a comment\n + 1", 37.0),
    ];
    for (sql, wanted) in cases {
        let got = value(sql);
        assert!(got == wanted || got.is_nan() && wanted.is_nan(), "{sql} is {got}, not {wanted}");
    }
}

#[test]
fn a_feature_without_sql_is_the_field_of_its_name_even_if_sql_has_that_word() {
    let bare = |name: &str| Feature { name: name.to_owned(), sql: None, ..Default::default() };
    let program = Program::compile(&schema(), &[bare("interval"), bare("age")]).unwrap();
    assert_eq!(program.names().collect::<Vec<_>>(), ["interval", "age"]);
    assert_eq!((program.width(), program.inputs()), (2, &[1, 7][..]));
}

#[test]
fn errors_say_what_to_write_instead() {
    let cases = [
        ("petal_lenght + 1", "did you mean `petal_length`"),
        ("Age", "did you mean `age`"),
        ("SQRTT(age)", "did you mean `sqrt`"),
        ("LOG(age)", "LN(x) or LOG10(x)"),
        ("plan", "use CASE x WHEN"),
        ("plan", "this is a text"),
        ("at", "EXTRACT(HOUR FROM x)"),
        ("at - at", "EXTRACT(EPOCH FROM"),
        ("NULL", "this is null"),
        ("plan + 1", "use CAST(… AS DOUBLE)"),
        ("plan > 1", "mixes a text and an integer"),
        ("at > '2026-01-01'", "TIMESTAMP '"),
        ("active = 1", "mixes a boolean and an integer"),
        ("CASE WHEN age THEN 1 END", "compare it, as in x <> 0"),
        ("CASE WHEN active THEN 1 ELSE 'x' END", "CASE mixes"),
        ("CASE WHEN TRIM(,) THEN 1 END", "is no SQL expression"),
        ("AVG(age)", "sees one record"),
        ("MAX(age)", "GREATEST"),
        ("SUM(age) OVER ()", "sees one record"),
        ("COUNT(*)", "sees one record"),
        ("NOW()", "at any time"),
        ("CURRENT_TIMESTAMP", "at any time"),
        ("(SELECT 1)", "no tables"),
        ("age IN (SELECT 1)", "no tables"),
        ("t.age", "no tables"),
        ("POWER(1)", "takes two arguments, not 1"),
        ("ABS()", "takes one argument, not 0"),
        ("ROUND(1.5, age)", "digits of ROUND"),
        ("plan LIKE plan", "single quotes"),
        ("REGEXP_LIKE(plan, '(')", "no regular expression: unclosed group"),
        ("REGEXP_LIKE(plan, '(a{1000}){1000}')", "too large"),
        ("CAST(age AS DECIMAL(3))", "use DOUBLE, BIGINT, VARCHAR or BOOLEAN"),
        ("CAST(at AS BIGINT)", "EXTRACT(EPOCH"),
        ("EXTRACT(CENTURY FROM at)", "use YEAR"),
        ("EXTRACT(HOUR FROM age)", "wants a timestamp"),
        ("TIMESTAMP 'soon'", "is no time"),
        ("1e999", "out of the range"),
        ("age +", "is no SQL expression"),
        ("age; age", "`;` at column 4"),
        ("", "it is empty"),
        ("age & 1", "`&`"),
        ("ABS(DISTINCT age)", "plain arguments"),
        ("ABS(x => 1)", ""),
        ("$1", ""),
        ("?", ""),
        ("x'41'", ""),
        ("*", ""),
        ("ARRAY[1]", ""),
        ("(1, 2)", "scalars"),
        ("INTERVAL '1' DAY", "EXTRACT(EPOCH"),
    ];
    for (sql, wanted) in cases {
        let error = error(sql);
        assert!(error.contains(wanted), "{sql}: {error}");
        assert!(error.len() < 300, "{sql}: {error}");
    }
}

#[test]
fn every_feature_at_fault_is_named() {
    let features = [feature("age"), feature("agee"), feature("plan"), feature("1 + 1")];
    let errors = Program::compile(&schema(), &features).unwrap_err();
    assert_eq!(errors.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn deep_nesting_is_refused_and_long_chains_are_not() {
    let nested = |levels: usize| format!("{}age{}", "(".repeat(levels), ")".repeat(levels));
    assert_eq!(value(&nested(40)), 36.0);
    assert!(error(&nested(500)).contains("nested too deeply"));
    assert!(error(&format!("{}age{}", "abs(".repeat(500), ")".repeat(500))).contains("nested too deeply"));
    assert!(error(&format!("age{}", " IS NULL".repeat(500))).contains("nested too deeply"));
    assert_eq!(value(&format!("age{}", " + 1".repeat(1_900))), 1_936.0);
    assert!(error(&format!("age{}", " + age".repeat(2_000))).contains("is too large"));
}

#[test]
fn a_computed_text_beyond_a_mebibyte_is_null() {
    let mut text = "UPPER(plan)".to_owned();
    for _ in 0..5 {
        text = format!("CONCAT({text}, {text}, {text})");
    }
    let features = [feature("LENGTH(plan)"), feature(&format!("LENGTH({text})"))];
    let program = Program::compile(&schema(), &features).unwrap();
    let (mut out, mut record) = (FeatureMatrix::default(), record());
    // 3⁵ times as long afterwards.
    for (length, wanted) in [(4_000, Some(972_000.0)), (10_000, None)] {
        record.values[3] = Value::String("x".repeat(length));
        let columns = Columns::from_records(&schema(), std::slice::from_ref(&record)).unwrap();
        program.evaluate(&columns, &mut Scratch::default(), &mut out);
        assert_eq!(out.column(0)[0], length as f64);
        assert_eq!(Some(out.column(1)[0]).filter(|value| !value.is_nan()), wanted);
    }
}
