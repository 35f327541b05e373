//! What a generated field is drawn from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::FieldKind;

/// The slowest return of a walk to its mean: what lies further back than 2,800 steps counts for nothing then.
const SLOWEST: f64 = 0.005;
/// The largest side of a generated image.
const MAX_SIDE: u32 = 1_024;
/// The most words, shapes or texts of one value.
const MAX_PARTS: u32 = 1_000;

/// A distribution: of numbers, of texts or of images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Distribution {
    /// Normal.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation, ≥ 0.
        std: f64,
    },
    /// Log-normal.
    LogNormal {
        /// Mean of the logarithm.
        mean: f64,
        /// Standard deviation of the logarithm, ≥ 0.
        std: f64,
    },
    /// Continuous uniform over `[from, to)`.
    Uniform {
        /// Lower bound.
        from: f64,
        /// Upper bound.
        to: f64,
    },
    /// Every integer from `from` to `to`, both included, equally often.
    Integer {
        /// Lower bound.
        from: i64,
        /// Upper bound.
        to: i64,
    },
    /// 1 with probability `p`, else 0.
    Bernoulli {
        /// Probability of 1.
        p: f64,
    },
    /// Nothing random: `from`, `from + step`, `from + 2·step`, … Times are milliseconds since 1970 UTC.
    Sequence {
        /// The first number.
        from: f64,
        /// Added from one to the next.
        step: f64,
        /// Records that have the same number, one after another.
        #[serde(default = "once")]
        repeat: u64,
    },
    /// Time series that return to their means (Ornstein-Uhlenbeck at whole steps). There is one a mean, and the records
    /// take turns: with four means, records 0, 4, 8, … are the first series.
    Walk {
        /// Mean of each series.
        means: Vec<f64>,
        /// Standard deviation around the mean, as a share of it.
        spread: f64,
        /// Share of the way to the mean that is gone in a step: above 0, up to 1 (every step on its own).
        reversion: f64,
        /// Height of a wave on top, as a share of the mean.
        #[serde(default)]
        season: f64,
        /// Steps from one crest of the wave to the next.
        #[serde(default = "week")]
        period: f64,
    },
    /// Nothing random: these texts in turn, again and again.
    Cycle {
        /// The texts.
        of: Vec<String>,
    },
    /// Nothing random: a text with the number of the record.
    Text {
        /// The text, with `{row}` for the number.
        template: String,
    },
    /// Words in any order.
    Words(Words),
    /// A PNG image.
    Image(Picture),
    /// SHA-256, in hexadecimal, of what another field holds.
    Sha256 {
        /// The other field, of texts or bytes.
        of: String,
    },
}

/// A text of drawn words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// Words to draw from, such as those of a class.
    pub of: Vec<String>,
    /// Words that stand between them.
    #[serde(default)]
    pub among: Vec<String>,
    /// Share of the words that are of `of`, when there are any to stand between them.
    #[serde(default = "half")]
    pub share: f64,
    /// The fewest and the most words for each place of the template.
    pub count: (u32, u32),
    /// Text around the words, with `{}` for each place of some: `<p>{}</p>`.
    #[serde(default = "place")]
    pub template: String,
}

/// A small image of a coloured ground with shapes on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Colour of the ground: red, green, blue.
    pub ground: [u8; 3],
    /// How much each colour of an image may be lighter or darker than declared.
    #[serde(default)]
    pub vary: u8,
    /// How much each pixel may be lighter or darker than its colour.
    #[serde(default)]
    pub noise: u8,
    /// What stands on the ground, one upon the other.
    #[serde(default)]
    pub shapes: Vec<Shapes>,
}

/// Some shapes of a kind, at any place of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shapes {
    /// What they are.
    pub shape: Shape,
    /// Red, green, blue.
    pub colour: [u8; 3],
    /// Smallest and largest size, as a share of the shorter side: above 0, up to 1.
    pub size: (f64, f64),
    /// The fewest and the most of them.
    pub count: (u32, u32),
}

/// A shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// A filled circle.
    Disc,
    /// A filled square.
    Square,
    /// A filled triangle that stands on its side.
    Triangle,
    /// A narrow line that leans a little, as long as its size.
    Blade,
}

fn once() -> u64 {
    1
}

fn week() -> f64 {
    7.0
}

fn half() -> f64 {
    0.5
}

fn place() -> String {
    "{}".to_owned()
}

impl Distribution {
    /// Mean and standard deviation, for standardising what an outcome depends on; `None` when it is not one of numbers
    /// that are drawn.
    pub fn moments(&self) -> Option<(f64, f64)> {
        Some(match *self {
            Self::Normal { mean, std } => (mean, std),
            Self::LogNormal { mean, std } => {
                let variance = std * std;
                let centre = (mean + variance / 2.0).exp();
                (centre, centre * (variance.exp() - 1.0).sqrt())
            }
            Self::Uniform { from, to } => ((from + to) / 2.0, (to - from) / 12f64.sqrt()),
            Self::Integer { from, to } => {
                let values = (to - from + 1) as f64;
                ((from + to) as f64 / 2.0, ((values * values - 1.0) / 12.0).sqrt())
            }
            Self::Bernoulli { p } => (p, (p * (1.0 - p)).sqrt()),
            _ => return None,
        })
    }

    /// Whether it gives numbers, which can be rounded, bounded, shifted and scaled.
    pub fn is_of_numbers(&self) -> bool {
        self.moments().is_some() || matches!(self, Self::Sequence { .. } | Self::Walk { .. })
    }

    /// What is wrong with its parameters.
    pub fn check(&self) -> Result<(), String> {
        let sound = match self {
            Self::Normal { mean, std } | Self::LogNormal { mean, std } => {
                mean.is_finite() && std.is_finite() && *std >= 0.0
            }
            Self::Uniform { from, to } => from.is_finite() && to.is_finite() && from <= to && (to - from).is_finite(),
            Self::Integer { from, to } => from <= to,
            Self::Bernoulli { p } => (0.0..=1.0).contains(p),
            Self::Sequence { from, step, repeat } => return sequence(*from, *step, *repeat),
            Self::Walk { means, spread, reversion, season, period } => {
                return walk(means, *spread, *reversion, *season, *period);
            }
            Self::Cycle { of } if of.is_empty() => return Err("`cycle` has no texts: give one or more".to_owned()),
            Self::Words(words) => return words.check(),
            Self::Image(picture) => return picture.check(),
            Self::Cycle { .. } | Self::Text { .. } | Self::Sha256 { .. } => true,
        };
        if sound {
            return Ok(());
        }
        Err("its distribution needs finite numbers, `std` from 0 up, `from` not above `to`, and `p` between 0 and 1"
            .to_owned())
    }

    /// Why what it gives is no value of a field of that kind; `None` when it is one.
    pub fn misfit(&self, kind: FieldKind) -> Option<String> {
        let (given, fits) = match self {
            Self::Image(_) => ("an image, which needs bytes", kind == FieldKind::Bytes),
            Self::Cycle { .. } | Self::Text { .. } | Self::Words(_) | Self::Sha256 { .. } => {
                ("a text, which needs a string", kind == FieldKind::String)
            }
            _ => ("a number", kind != FieldKind::Bytes),
        };
        (!fits).then(|| format!("it is a {}, and what is drawn is {given}", kind.title()))
    }
}

fn sequence(from: f64, step: f64, repeat: u64) -> Result<(), String> {
    if from.is_finite() && step.is_finite() && repeat > 0 {
        return Ok(());
    }
    Err("`sequence` needs finite numbers, and `repeat` from 1 up".to_owned())
}

fn walk(means: &[f64], spread: f64, reversion: f64, season: f64, period: f64) -> Result<(), String> {
    if means.is_empty()
        || ![spread, season].into_iter().chain(means.iter().copied()).all(f64::is_finite)
        || spread < 0.0
    {
        return Err("`walk` needs one or more finite `means`, and a `spread` from 0 up".to_owned());
    }
    if !(SLOWEST..=1.0).contains(&reversion) {
        return Err(format!("`walk`: `reversion` lies between {SLOWEST} and 1"));
    }
    if period.is_finite() && period > 0.0 { Ok(()) } else { Err("`walk`: `period` is steps above 0".to_owned()) }
}

fn range(name: &str, (least, most): (u32, u32)) -> Result<(), String> {
    if least <= most && most <= MAX_PARTS {
        return Ok(());
    }
    Err(format!("`{name}: [{least}, {most}]`: give the fewest first, and at most {MAX_PARTS}"))
}

impl Words {
    fn check(&self) -> Result<(), String> {
        if self.of.is_empty() {
            return Err("`words`: `of` is empty: there is nothing to draw from".to_owned());
        }
        if !(0.0..=1.0).contains(&self.share) {
            return Err("`words`: `share` lies between 0 and 1".to_owned());
        }
        if !self.template.contains("{}") {
            return Err("`words`: the `template` has no `{}`, where words would stand".to_owned());
        }
        range("count", self.count)
    }
}

impl Picture {
    fn check(&self) -> Result<(), String> {
        if ![self.width, self.height].iter().all(|side| (1..=MAX_SIDE).contains(side)) {
            let (width, height) = (self.width, self.height);
            return Err(format!("`image` of {width} by {height} pixels: give sides of 1 to {MAX_SIDE}"));
        }
        for shapes in &self.shapes {
            let (least, most) = shapes.size;
            if !(least > 0.0 && least <= most && most <= 1.0) {
                return Err(format!(
                    "`image`: `size: [{least}, {most}]`: give shares above 0 up to 1, the smaller first"
                ));
            }
            range("count", shapes.count)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        serde_saphyr::from_str::<Distribution>(text).unwrap().check().err().unwrap_or_default()
    }

    #[test]
    fn what_cannot_be_drawn_is_told() {
        let cases = [
            ("walk: { means: [1, 2], spread: 0.1, reversion: 0.05 }", ""),
            ("walk: { means: [], spread: 0.1, reversion: 0.05 }", "`means`"),
            ("walk: { means: [1], spread: 0.1, reversion: 0 }", "`reversion`"),
            ("walk: { means: [1], spread: 0.1, reversion: 0.5, period: 0 }", "`period`"),
            ("sequence: { from: 0, step: 1, repeat: 0 }", "`repeat`"),
            ("cycle: { of: [] }", "`cycle`"),
            ("words: { of: [a], count: [1, 2] }", ""),
            ("words: { of: [], count: [1, 2] }", "`of`"),
            ("words: { of: [a], count: [2, 1] }", "`count: [2, 1]`"),
            ("words: { of: [a], count: [1, 2], template: x }", "`template`"),
            ("image: { width: 0, height: 1, ground: [0, 0, 0] }", "sides"),
            (
                "image: { width: 1, height: 1, ground: [0, 0, 0], shapes: [{ shape: disc, colour: [1, 2, 3], size: [0, 1], count: [1, 1] }] }",
                "`size: [0, 1]`",
            ),
        ];
        for (text, part) in cases {
            let found = fault(text);
            assert!(found.contains(part) && found.is_empty() == part.is_empty(), "{text}: {found}");
        }
    }

    #[test]
    fn texts_images_and_numbers_need_their_fields() {
        let words: Distribution = serde_saphyr::from_str("words: { of: [a], count: [1, 2] }").unwrap();
        assert_eq!(words.misfit(FieldKind::String), None);
        assert!(words.misfit(FieldKind::Double).unwrap().contains("needs a string"));
        let image: Distribution = serde_saphyr::from_str("image: { width: 1, height: 1, ground: [0, 0, 0] }").unwrap();
        assert_eq!(image.misfit(FieldKind::Bytes), None);
        assert!(!image.is_of_numbers() && image.misfit(FieldKind::String).is_some());
        let number = Distribution::Bernoulli { p: 0.5 };
        assert!(number.is_of_numbers() && number.misfit(FieldKind::Bytes).is_some());
        assert_eq!(number.misfit(FieldKind::String), None);
    }
}
