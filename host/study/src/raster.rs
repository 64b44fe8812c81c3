//! A drawing as pixels.

use std::sync::{Arc, LazyLock};

use epaint_default_fonts::UBUNTU_LIGHT;
use resvg::{tiny_skia, usvg};

/// Pixels for each of the drawing's own, so that small print can be read on a fine screen.
const SCALE: f32 = 2.0;

/// One font for all text: a machine need not have any, and every machine draws alike.
static FONTS: LazyLock<Arc<usvg::fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = usvg::fontdb::Database::new();
    fonts.load_font_data(UBUNTU_LIGHT.to_vec());
    let family = fonts
        .faces()
        .find_map(|face| Some(face.families.first()?.0.clone()));
    fonts.set_sans_serif_family(family.unwrap_or_default());
    Arc::new(fonts)
});

/// The bytes of a PNG of a picture's: row by row, red, green and blue, or grey alone. `None` for one without pixels.
pub(crate) fn png_of(width: u32, height: u32, channels: u32, values: &[u8]) -> Option<Vec<u8>> {
    let mut pixels = tiny_skia::Pixmap::new(width, height)?;
    let colours = values.chunks_exact(channels.max(1) as usize);
    for (pixel, colour) in pixels.pixels_mut().iter_mut().zip(colours) {
        let part = |channel: usize| colour.get(channel).copied().unwrap_or(colour[0]);
        *pixel = tiny_skia::ColorU8::from_rgba(part(0), part(1), part(2), 255).premultiply();
    }
    pixels.encode_png().ok()
}

/// The bytes of a PNG of an SVG's text.
pub(crate) fn png(svg: &str) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let options = usvg::Options {
        fontdb: Arc::clone(&FONTS),
        ..usvg::Options::default()
    };
    let tree = usvg::Tree::from_str(svg, &options)?;
    let size = tree.size().to_int_size().scale_by(SCALE);
    let pixels = size.and_then(|size| tiny_skia::Pixmap::new(size.width(), size.height()));
    let mut pixels = pixels.ok_or("the picture is empty")?;
    resvg::render(
        &tree,
        tiny_skia::Transform::from_scale(SCALE, SCALE),
        &mut pixels.as_mut(),
    );
    Ok(pixels.encode_png()?)
}
