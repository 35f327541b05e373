//! Writes the pages of four made-up drift events into a folder, to be looked at in a browser, and their text beside them:
//!
//! ```text
//! cargo run -p driftmill-drift --release --ignore-rust-version --example page -- FOLDER
//! ```

use driftmill_drift::{
    DriftReport, History, Layout, Pane, PaneId, PaneSet, Policy, Profile, ReferenceProfile, Rejects, Stream, Values,
    evaluate,
    page::{Context, Earlier, page, text},
};
use std::{error::Error, path::Path};

/// 2026-11-27T14:05:09Z.
const NOW: i64 = 1_795_788_309_000;
const HOUR: i64 = 3_600_000;
const WINDOW: i64 = 1_000;

/// A column of a made-up table.
enum Column {
    Numbers(Vec<f64>),
    Categories(Vec<Option<&'static str>>),
}

type Columns = Vec<(&'static str, Column)>;

/// Numbers that are the same in every run: a linear congruential generator of 64 bits.
struct Seeded(u64);

impl Seeded {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Box–Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    fn numbers(&mut self, rows: usize, of: impl Fn(f64) -> f64) -> Column {
        Column::Numbers((0..rows).map(|_| of(self.normal())).collect())
    }

    /// Categories with weights.
    fn categories(&mut self, rows: usize, weights: &[(&'static str, f64)]) -> Column {
        let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
        let one = |share: f64| {
            let mut left = share * total;
            let found = weights.iter().find(|(_, weight)| {
                left -= weight;
                left < 0.0
            });
            found.map(|(name, _)| *name)
        };
        Column::Categories((0..rows).map(|_| one(self.uniform())).collect())
    }
}

/// Loans whose applicants earn and borrow `shift` standard deviations more than once, and of which `gaps` lack an income.
fn loans(random: &mut Seeded, rows: usize, shift: f64, gaps: f64) -> Columns {
    let mut income = random.numbers(rows, |z| (10.8 + 0.4 * (z + shift)).exp());
    if let Column::Numbers(values) = &mut income {
        values.iter_mut().filter(|_| random.uniform() < gaps).for_each(|value| *value = f64::NAN);
    }
    vec![
        ("age", random.numbers(rows, |z| (42.0 + 11.0 * z).round().clamp(18.0, 90.0))),
        ("annual_income", income),
        ("credit_score", random.numbers(rows, |z| 680.0 + 60.0 * z)),
        ("loan_amount", random.numbers(rows, |z| 15_000.0 * (1.0 + 0.5 * (z + shift)).abs())),
        ("loan_duration_years", random.numbers(rows, |z| (10.0 + 5.0 * z).round().clamp(1.0, 30.0))),
        ("number_of_open_accounts", random.numbers(rows, |z| z.abs().mul_add(3.0, 1.0).floor())),
        ("had_past_default", random.numbers(rows, |z| f64::from(z > 1.2))),
        ("sponsor_income", Column::Numbers(vec![f64::NAN; rows])),
    ]
}

/// Products with their categories, after `shift` of a season.
fn products(random: &mut Seeded, rows: usize, shift: f64) -> Columns {
    let shelf = [
        ("Books & comics", 30.0 - 20.0 * shift),
        ("Toys", 22.0),
        ("Garden", 12.0),
        ("<Kitchen>", 9.0 + 12.0 * shift),
        ("Board games and puzzles for the whole family", 8.0),
        ("Pets", 6.0),
        ("本・雑誌", 5.0),
        ("Pool", 3.0),
        ("Inflatable unicorns", 14.0 * shift),
    ];
    let languages = [("fr", 80.0), ("en", 12.0 + 6.0 * shift), ("de", 8.0)];
    vec![
        ("category", random.categories(rows, &shelf)),
        ("language", random.categories(rows, &languages)),
        ("token_count", random.numbers(rows, |z| (3.5 + 0.7 * z).exp().round())),
        ("@confidence", random.numbers(rows, |z| 1.0 / (1.0 + (-1.6 - z + 0.6 * shift).exp()))),
    ]
}

/// Windows one after the other, the last of which is shown.
struct Event {
    file: &'static str,
    pipeline: &'static str,
    stream: Stream,
    consequence: Option<&'static str>,
    reference: Columns,
    windows: Vec<Columns>,
}

impl Event {
    fn judged(&self) -> Result<(DriftReport, Context), Box<dyn Error>> {
        let columns: Vec<(&str, Values<'_>)> =
            self.reference.iter().map(|(name, column)| (*name, values(column))).collect();
        let layout = Layout::new(ReferenceProfile::of(&columns)?)?;
        let weights =
            self.reference.iter().enumerate().map(|(index, (name, _))| ((*name).to_owned(), 8.0 - index as f64));
        let policy = Policy { importance: Some(weights.collect()), ..Policy::default() };
        let usual = Some(Rejects { rejected: 60, records: 20_060 });
        let mut reports: Vec<(DriftReport, i64)> = Vec::new();
        for (index, rows) in (0..).zip(&self.windows) {
            let mut profile = Profile::new(&layout);
            for (name, column) in rows {
                profile.observe_values(name, values(column), &[])?;
            }
            let judged_at = NOW - HOUR * (self.windows.len() as i64 - 1 - index);
            let mut window = PaneSet::new(&layout, 7).of(self.stream);
            let halves = [(0, index * WINDOW / 2, profile, 3), (1, index * WINDOW / 2 + 40, Profile::new(&layout), 1)];
            for (partition, from_offset, profile, rejected) in halves {
                let id = PaneId { partition, from_offset, to_offset: from_offset + WINDOW / 2 };
                let max_event_time = judged_at - 9_000;
                window.insert(Pane { id, model_version: 7, profile, rejected, max_event_time })?;
            }
            let before = reports.last().map_or_else(History::default, |(report, _)| report.history.clone());
            reports.push((evaluate(&window, usual, &policy, &before)?, judged_at));
        }
        let (report, judged_at_ms) = reports.pop().ok_or("an event has a window")?;
        let earlier = reports.iter().map(|(report, judged_at)| Earlier::of(report, *judged_at)).collect();
        let consequence = self.consequence.map(str::to_owned);
        Ok((report, Context { pipeline: self.pipeline.to_owned(), judged_at_ms, consequence, earlier }))
    }
}

fn values(column: &Column) -> Values<'_> {
    match column {
        Column::Numbers(values) => Values::Numbers(values),
        Column::Categories(values) => Values::Categories(values),
    }
}

fn events(random: &mut Seeded) -> Vec<Event> {
    let rows = WINDOW as usize;
    // Nothing for a while, then a slow rise.
    let rising = |window: i32| f64::from(window - 40).max(0.0) / 20.0;
    let windows = (0..61).map(|window| loans(random, rows, rising(window), 0.02)).collect();
    let drifted = Event {
        file: "drifted",
        pipeline: "loan",
        stream: Stream::Records,
        consequence: Some(
            "Training 0193 was started at 2026-11-27T14:05:10Z, on 12,400 labelled rows without quarantined ones.",
        ),
        reference: loans(random, 20_000, 0.0, 0.02),
        windows,
    };
    let categories = Event {
        file: "categories",
        pipeline: "products",
        stream: Stream::Predictions,
        consequence: Some("Nothing yet: a training is running already, and one at a time is allowed."),
        reference: products(random, 20_000, 0.0),
        windows: [0.0, 0.1, 0.2, 0.7, 1.0].map(|shift| products(random, rows, shift)).into(),
    };
    let quarantine = Event {
        file: "quarantine",
        pipeline: "loan",
        stream: Stream::Records,
        consequence: Some("The window's offsets are excluded from every training."),
        reference: loans(random, 20_000, 0.0, 0.02),
        windows: [0.02, 0.02, 0.09, 0.46].map(|gaps| loans(random, rows, 0.0, gaps)).into(),
    };
    let stable = Event {
        file: "stable",
        pipeline: "loan",
        stream: Stream::Records,
        consequence: None,
        reference: loans(random, 20_000, 0.0, 0.02),
        windows: (0..13).map(|_| loans(random, rows, 0.0, 0.02)).collect(),
    };
    vec![drifted, categories, quarantine, stable]
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("which folder shall the pages be written to?")?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    for event in events(&mut Seeded(7)) {
        let (report, context) = event.judged()?;
        std::fs::write(folder.join(format!("{}.html", event.file)), page(&report, &context))?;
        std::fs::write(folder.join(format!("{}.txt", event.file)), text(&report, &context))?;
        println!("{}: {:?}", event.file, report.verdict);
    }
    Ok(())
}
