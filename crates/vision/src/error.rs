//! What can be wrong with an image, with parameters or with training data.

/// An error of decoding, fitting or predicting. Each one is the caller's to mend, and retrying without a change fails again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Bytes of no format that is read.
    #[error("the image is of no known format; send JPEG, PNG, GIF, BMP, WebP, TIFF or PNM")]
    Format,
    /// Bytes that end early or make no sense.
    #[error("the image cannot be decoded, it is cut off or damaged: {0}")]
    Damaged(String),
    /// An image without pixels, or one that would take too much memory.
    #[error("an image of {width} x {height} pixels is not read; the limit is {} megapixels and {} a side",
        crate::image::MAX_PIXELS / 1_000_000, crate::image::MAX_SIDE)]
    Size {
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
    },
    /// An image whose decoding would take too much memory, whatever its size.
    #[error("decoding the image takes more than {} MiB; send it in a simpler format", crate::image::MAX_BYTES >> 20)]
    Memory,
    /// An array whose length does not fit its shape.
    #[error("{height} x {width} x 3 values make {expected}, got {got}")]
    Shape {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Values of that shape.
        expected: usize,
        /// Values given.
        got: usize,
    },
    /// A value that is no brightness.
    #[error("value {value} at row {row}, column {column}, channel {channel} is not between 0 and 1")]
    Value {
        /// From 0.
        row: usize,
        /// From 0.
        column: usize,
        /// 0 to 2: red, green, blue.
        channel: usize,
        /// The value.
        value: f32,
    },
    /// Pixels of another size than the model's.
    #[error("image {image} has {got} bytes of pixels; {side} x {side} RGB pixels are {expected}")]
    Pixels {
        /// Its number, from 0.
        image: usize,
        /// Side of the model's images.
        side: usize,
        /// Bytes of such an image.
        expected: usize,
        /// Bytes given.
        got: usize,
    },
    /// Images and labels differ in length.
    #[error("{images} images but {labels} labels; every image needs one label")]
    LengthMismatch {
        /// Images given.
        images: usize,
        /// Labels given.
        labels: usize,
    },
    /// A label that is not one of the declared classes.
    #[error("image {image} has class {label}, but the classes are 0 to {}", n_classes.saturating_sub(1))]
    LabelOutOfRange {
        /// The first such image.
        image: usize,
        /// Its label.
        label: usize,
        /// Number of declared classes.
        n_classes: usize,
    },
    /// An image to be held out that is not there.
    #[error("image {image} is to be held out, but there are {images} images")]
    HeldOut {
        /// Its number, from 0.
        image: usize,
        /// Images given.
        images: usize,
    },
    /// Too little to learn from.
    #[error("training needs at least 2 images, got {0}; check the snapshot's filter and the split")]
    TooFew(usize),
    /// A parameter out of its range.
    #[error("parameter `{name}` must be {expected}, got {got}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// What is allowed.
        expected: &'static str,
        /// What was given.
        got: String,
    },
    /// A graphics card asked for in a build that knows none.
    #[error(
        "`device: gpu`: this build trains on the CPU only; build Driftmill with `cargo build --release --features gpu`, or \
         leave `device` out"
    )]
    NoGpuSupport,
    /// A graphics card asked for on a machine that has none, or whose driver does not work.
    #[error(
        "`device: gpu`: no graphics card was found by Vulkan, Metal, DirectX 12 or OpenGL ({0}); install its driver (on \
         Linux, what `vulkaninfo --summary` lists can be used), or leave `device` out to train on the CPU"
    )]
    NoGpu(String),
    /// A device that failed while it computed.
    #[error("the device that the network is trained on failed: {0}; try again, or leave `device` out")]
    Device(String),
    /// A training that left the range of numbers.
    #[error("the loss of epoch {epoch} is not a number; lower `learning_rate`")]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
    },
    /// A buffer that does not fit the classes.
    #[error("the model has {expected} classes, the output buffer has {got} places")]
    OutputLength {
        /// Classes of the model.
        expected: usize,
        /// Length of the buffer.
        got: usize,
    },
}
