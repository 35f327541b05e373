//! Seeded numbers and stored fixtures for the tests.

use serde_json::Value;

/// The generator of vector V9: s ← 6364136223846793005·s + 1442695040888963407 mod 2⁶⁴, x = (s ≫ 11)/2⁵³.
pub(crate) struct Lcg(u64);

impl Lcg {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A well mixed 64-bit number (the state itself has weak low bits).
    pub(crate) fn bits(&mut self) -> u64 {
        self.next();
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed ^ (mixed >> 29)
    }

    /// A standard normal number (Box–Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let uniform = |bits: u64| ((bits >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        let (radius, angle) = (uniform(self.bits()), uniform(self.bits()));
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }

    pub(crate) fn normals(&mut self, count: usize, mean: f64, std: f64) -> Vec<f64> {
        (0..count).map(|_| mean + std * self.normal()).collect()
    }
}

impl Iterator for Lcg {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((self.0 >> 11) as f64 / (1u64 << 53) as f64)
    }
}

/// A stored fixture, written by `fixtures/generate.py`.
pub(crate) fn fixture(name: &str) -> Value {
    let text = match name {
        "kolmogorov" => include_str!("../fixtures/kolmogorov.json"),
        "samples" => include_str!("../fixtures/samples.json"),
        other => panic!("no fixture {other}"),
    };
    serde_json::from_str(text).unwrap()
}

/// The samples of a vector: the fixture keeps their common order only, which is all that KS and quantile cells depend on.
/// Values are spread like a heavy-tailed distribution.
pub(crate) fn pair(vector: &Value) -> (Vec<f64>, Vec<f64>) {
    let total = (vector["reference"].as_u64().unwrap() + vector["live"].as_u64().unwrap()) as usize;
    let order = hex::decode(vector["order"].as_str().unwrap()).unwrap();
    let (mut reference, mut live) = (Vec::new(), Vec::new());
    for rank in 0..total {
        let share = (rank as f64 + 0.5) / total as f64;
        let value = (3.0 * (share / (1.0 - share)).ln()).exp();
        let sample = if order[rank / 8] >> (7 - rank % 8) & 1 == 1 { &mut live } else { &mut reference };
        sample.push(value);
    }
    (reference, live)
}

/// A first-order autoregressive stream with correlation `phi` and variance 1.
pub(crate) fn autoregressive(random: &mut Lcg, count: usize, phi: f64) -> Vec<f64> {
    let mut value = random.normal();
    let noise = (1.0 - phi * phi).sqrt();
    (0..count)
        .map(|_| {
            value = phi * value + noise * random.normal();
            value
        })
        .collect()
}
