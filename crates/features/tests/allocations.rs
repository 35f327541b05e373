//! A request must not allocate: once the scratch is warm, evaluating takes no memory.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use driftmill_features::{Columns, FeatureMatrix, Program, Scratch};
use driftmill_schemas::pipeline::Feature;
use driftmill_schemas::record::{Record, RecordSchema, Value};

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_warm_scratch_allocates_nothing() {
    let schema = RecordSchema::parse(
        r#"{"type":"record","name":"r","fields":[{"name":"x","type":"double"},{"name":"n","type":"long"},
            {"name":"s","type":"string"}]}"#,
    )
    .unwrap();
    let features: Vec<Feature> = [
        "x * 2 + n",
        "ROUND(LN(x), 2)",
        "CASE UPPER(s) WHEN 'A' THEN 1 ELSE 2 END",
        "LENGTH(s || CAST(x AS VARCHAR) || CAST(n AS VARCHAR))",
        "s LIKE '%b%'",
        "n IN (1, 2, 3)",
    ]
    .iter()
    .map(|sql| Feature { name: (*sql).to_owned(), sql: Some((*sql).to_owned()), ..Default::default() })
    .collect();
    let program = Program::compile(&schema, &features).unwrap();
    let values = vec![Value::Double(1.25), Value::Long(7), Value::String("abc".to_owned())];
    let record = Record { values };
    let (mut columns, mut scratch, mut out) = (Columns::new(&schema), Scratch::default(), FeatureMatrix::default());
    let mut once = |rows: usize| {
        columns.clear();
        (0..rows).for_each(|_| columns.push(&record).unwrap());
        program.evaluate(&columns, &mut scratch, &mut out);
    };
    // 300 rows are two chunks of unequal length.
    (0..3).for_each(|_| once(300));
    let before = COUNT.with(Cell::get);
    for rows in [1, 300, 1, 1, 40, 300] {
        once(rows);
    }
    assert_eq!(COUNT.with(Cell::get) - before, 0);
}
