//! tbd
pub(crate) fn draw() -> Option<image::DynamicImage> { None }
