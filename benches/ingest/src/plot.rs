//! The results as a picture: throughput, latency, and memory while a backlog is worked off. Plain SVG.

use std::path::Path;

use crate::report::{Group, Spread, thousands};

const WIDTH: f64 = 880.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 680.0;
const ROW: f64 = 30.0;
const BAR: f64 = 16.0;
const OURS: &str = "#0b7285";
const CEILING: &str = "#adb5bd";
const PEERS: &str = "#e8590c";
const TEXT: &str = "#212529";
const MUTED: &str = "#6c757d";

/// One bar.
struct Bar<'a> {
    name: &'a str,
    colour: &'static str,
    value: Spread,
    label: String,
}

/// Draws the groups; memory comes from the CSV files in `folder`.
pub fn draw(groups: &[Group<'_>], folder: &Path) -> String {
    let mut picture = Picture { y: 20.0, body: String::new() };
    let colour = |group: &Group<'_>| match group.scenario {
        "ceiling" => CEILING,
        _ if group.system.starts_with("driftmill") => OURS,
        _ => PEERS,
    };
    let rate = |group: &Group<'_>| group.of(|run| run.rows_per_second);
    let bars = |wanted: &[(&str, Option<&str>)]| -> Vec<Bar<'_>> {
        let is = |group: &&Group<'_>| {
            wanted.iter().any(|(scenario, system)| {
                group.scenario == *scenario && system.is_none_or(|system| group.system == system)
            })
        };
        let bar = |group: &Group<'_>| Bar {
            name: "",
            colour: colour(group),
            value: rate(group),
            label: format!("{} rows/s", thousands(rate(group).median)),
        };
        let mut bars: Vec<Bar<'_>> = Vec::new();
        for group in groups.iter().filter(is) {
            let name = if group.scenario == "ceiling" { "ceiling" } else { group.system };
            bars.push(Bar { name, ..bar(group) });
        }
        bars.sort_by(|a, b| b.value.median.total_cmp(&a.value.median));
        bars
    };
    picture.bars(
        "Backlog into ClickHouse; broker, engine and processor share the machine",
        &bars(&[("drain", None), ("ceiling", Some("consume + insert"))]),
    );
    picture.bars("driftmill up: its own broker, produced and ingested at the same time", &bars(&[("embedded", None)]));
    picture.bars("Processor alone on one core, rows swallowed", &bars(&[("alone", None)]));
    let latencies: Vec<Bar<'_>> = groups
        .iter()
        .filter(|group| group.scenario == "latency")
        .flat_map(|group| {
            ["p50", "p99"].map(|which| {
                let key = if which == "p50" { "p50_ms" } else { "p99_ms" };
                let value = group.of(|run| run.number(key).unwrap_or_default());
                let label = format!("{which} {:.0} ms at {}/s", value.median, thousands(rate(group).median));
                Bar { name: if which == "p50" { group.system } else { "" }, colour: colour(group), value, label }
            })
        })
        .collect();
    picture.bars("Produced to queryable at a steady rate", &latencies);
    picture.memory(folder);
    picture.finish()
}

struct Picture {
    y: f64,
    body: String,
}

impl Picture {
    fn text(&mut self, x: f64, y: f64, anchor: &str, colour: &str, weight: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        self.body.push_str(&format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\" font-weight=\"{weight}\">{text}</text>\n"
        ));
    }

    fn title(&mut self, title: &str) {
        self.y += 18.0;
        self.text(20.0, self.y, "start", TEXT, "600", title);
        self.y += 14.0;
    }

    /// Horizontal bars from zero, with a whisker from the least to the most.
    fn bars(&mut self, title: &str, bars: &[Bar<'_>]) {
        if bars.is_empty() {
            return;
        }
        self.title(title);
        let most = bars.iter().map(|bar| bar.value.most).fold(f64::MIN_POSITIVE, f64::max);
        let x = |value: f64| LEFT + (RIGHT - LEFT) * value / most;
        for Bar { name, colour, value, label } in bars {
            let (top, middle) = (self.y + (ROW - BAR) / 2.0, self.y + ROW / 2.0);
            self.text(LEFT - 10.0, middle + 4.0, "end", TEXT, "400", name);
            self.body.push_str(&format!(
                "<rect x=\"{LEFT}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\n\
                 <path d=\"M{:.1} {middle:.1}H{:.1}\" stroke=\"{TEXT}\" stroke-width=\"1.5\"/>\n",
                (x(value.median) - LEFT).max(1.0),
                x(value.least),
                x(value.most),
            ));
            self.text(x(value.most) + 8.0, middle + 4.0, "start", TEXT, "400", label);
            self.y += ROW;
        }
        self.y += 12.0;
    }

    /// Resident memory of our processor over the time of a drain.
    fn memory(&mut self, folder: &Path) {
        const HEIGHT: f64 = 130.0;
        let Some(rows) = newest_csv(folder) else { return };
        let end = rows.iter().map(|row| row[0]).fold(0.1, f64::max);
        let most = rows.iter().map(|row| row[1]).fold(1.0, f64::max);
        self.title("Memory of the processor while it works off the backlog (MiB over seconds)");
        let (top, bottom) = (self.y + 8.0, self.y + 8.0 + HEIGHT);
        let x = |seconds: f64| LEFT + (RIGHT - LEFT) * seconds / end;
        let y = |mib: f64| bottom - HEIGHT * mib / most;
        self.body.push_str(&format!(
            "<path d=\"M{LEFT} {top:.1}V{bottom:.1}H{RIGHT}\" stroke=\"{MUTED}\" fill=\"none\"/>\n"
        ));
        let mut above = f64::MIN;
        for (column, colour, name) in [(1, OURS, "resident"), (2, PEERS, "anonymous")] {
            let points: Vec<String> =
                rows.iter().map(|row| format!("{:.1},{:.1}", x(row[0]), y(row[column]))).collect();
            let last = rows.last().map_or(0.0, |row| row[column]);
            self.body.push_str(&format!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n",
                points.join(" ")
            ));
            // Two lines that end close to each other need their names apart.
            above = (y(last) + 4.0).max(above + 16.0);
            self.text(RIGHT + 8.0, above, "start", colour, "400", &format!("{name} {last:.0}"));
        }
        self.text(LEFT - 10.0, top + 8.0, "end", MUTED, "400", &format!("{most:.0}"));
        self.text(LEFT - 10.0, bottom, "end", MUTED, "400", "0");
        self.text(RIGHT, bottom + 16.0, "end", MUTED, "400", &format!("{end:.0} s"));
        self.y = bottom + 30.0;
    }

    fn finish(self) -> String {
        let height = self.y + 10.0;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
             height=\"{height:.0}\" font-family=\"system-ui, sans-serif\" font-size=\"13\">\n<rect width=\"100%\" \
             height=\"100%\" fill=\"white\"/>\n{}</svg>\n",
            self.body
        )
    }
}

/// Seconds, resident and anonymous MiB of the drain, if there was one.
fn newest_csv(folder: &Path) -> Option<Vec<[f64; 3]>> {
    let text = std::fs::read_to_string(folder.join("memory-drain.csv")).ok()?;
    let rows: Vec<[f64; 3]> = text
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split(',').map(str::parse::<f64>);
            let mut next = || fields.next()?.ok();
            Some([next()?, next()? / 1024.0, next()? / 1024.0])
        })
        .collect();
    (!rows.is_empty()).then_some(rows)
}
