//! Draws a small image.

use driftmill_schemas::pipeline::{Picture, Shape, Shapes};
use rand::Rng;

use super::png;

/// The width of a blade, as a share of its length.
const BLADE: f64 = 0.05;

/// A PNG image of what is declared.
pub(super) fn draw(picture: &Picture, random: &mut impl Rng) -> Vec<u8> {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let mut canvas = Canvas { width, height, pixels: Vec::with_capacity(3 * width * height) };
    let ground = varied(picture.ground, picture.vary, random);
    (0..width * height).for_each(|_| canvas.pixels.extend_from_slice(&ground));
    for shapes in &picture.shapes {
        canvas.add(shapes, picture.vary, random);
    }
    if picture.noise > 0 {
        for pixel in canvas.pixels.chunks_exact_mut(3) {
            let lighter = spread(picture.noise, random);
            pixel.iter_mut().for_each(|channel| *channel = moved(*channel, lighter));
        }
    }
    png::encode(picture.width, picture.height, &canvas.pixels)
}

struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    fn add(&mut self, shapes: &Shapes, vary: u8, random: &mut impl Rng) {
        let shorter = self.width.min(self.height) as f64;
        for _ in 0..random.random_range(shapes.count.0..=shapes.count.1) {
            let (least, most) = shapes.size;
            let size = shorter * (least + (most - least) * random.random::<f64>());
            let (x, y) = (self.width as f64 * random.random::<f64>(), self.height as f64 * random.random::<f64>());
            let lean = random.random::<f64>() - 0.5;
            let colour = varied(shapes.colour, vary, random);
            self.fill(shapes.shape, (x, y), size, lean, colour);
        }
    }

    /// Colours the pixels whose middle lies in the shape around `(x, y)`.
    fn fill(&mut self, shape: Shape, (x, y): (f64, f64), size: f64, lean: f64, colour: [u8; 3]) {
        let half = size / 2.0;
        let rows = (y - half).floor().max(0.0) as usize..((y + half).ceil() as usize + 1).min(self.height);
        for row in rows {
            for column in 0..self.width {
                let (across, down) = (column as f64 + 0.5 - x, row as f64 + 0.5 - y);
                let inside = match shape {
                    Shape::Disc => across * across + down * down <= half * half,
                    Shape::Square => across.abs().max(down.abs()) <= half,
                    Shape::Triangle => down.abs() <= half && across.abs() <= (down + half) / 2.0,
                    Shape::Blade => down.abs() <= half && (across - lean * down).abs() <= (BLADE * half).max(0.5),
                };
                if inside {
                    let at = 3 * (row * self.width + column);
                    self.pixels[at..at + 3].copy_from_slice(&colour);
                }
            }
        }
    }
}

/// A number from `-most` to `most`.
fn spread(most: u8, random: &mut impl Rng) -> i16 {
    random.random_range(-i16::from(most)..=i16::from(most))
}

fn varied(colour: [u8; 3], vary: u8, random: &mut impl Rng) -> [u8; 3] {
    let lighter = spread(vary, random);
    colour.map(|channel| moved(channel, lighter))
}

fn moved(channel: u8, lighter: i16) -> u8 {
    (i16::from(channel) + lighter).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// The share of pixels of each of two colours, and whether there is no other.
    fn shares(shape: Shape) -> f64 {
        let mut canvas = Canvas { width: 100, height: 100, pixels: vec![0; 30_000] };
        canvas.fill(shape, (50.0, 50.0), 40.0, 0.0, [9, 9, 9]);
        canvas.pixels.chunks_exact(3).filter(|pixel| **pixel == [9, 9, 9]).count() as f64 / 1_600.0
    }

    #[test]
    fn shapes_have_their_areas() {
        let cases = [(Shape::Disc, 0.785), (Shape::Square, 1.0), (Shape::Triangle, 0.5), (Shape::Blade, 0.05)];
        for (shape, wanted) in cases {
            assert!((shares(shape) - wanted).abs() < 0.02, "{shape:?}: {}", shares(shape));
        }
    }

    #[test]
    fn shapes_beyond_the_edge_are_cut() {
        let mut canvas = Canvas { width: 4, height: 3, pixels: vec![0; 36] };
        for place in [(-9.0, -9.0), (9.0, 9.0), (0.0, 0.0), (4.0, 3.0)] {
            canvas.fill(Shape::Disc, place, 4.0, 0.0, [1; 3]);
        }
        assert!(canvas.pixels.contains(&1) && canvas.pixels.contains(&0));
    }

    #[test]
    fn the_same_randomness_gives_the_same_image() {
        let shapes = Shapes { shape: Shape::Disc, colour: [250, 210, 30], size: (0.1, 0.3), count: (1, 3) };
        let picture =
            Picture { width: 32, height: 24, ground: [40, 120, 40], vary: 20, noise: 10, shapes: vec![shapes] };
        let image = |seed| draw(&picture, &mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(image(1), image(1));
        assert_ne!(image(1), image(2));
    }
}
