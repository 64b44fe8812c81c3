//! Pictures inside a drawing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pixelrate_scan::{Pixels, Scan};
use resvg::tiny_skia::Pixmap;

/// Pixels of a side at the most: no screen shows more in so small a place.
const MOST: u32 = 512;

/// A picture in colours with holes, row by row.
pub(super) struct Sheet {
    width: u32,
    height: u32,
    /// Red, green, blue and whether it is there, each in [0, 1].
    pixels: Vec<[f64; 4]>,
}

impl Sheet {
    /// The scanned picture itself.
    pub(super) fn of(picture: &impl Pixels) -> Self {
        let (width, height) = (picture.width(), picture.height());
        let channels = u64::from(picture.channels());
        let part = |pixel: u64, part: u64| picture.value(pixel * channels + part % channels);
        let pixels = (0..u64::from(width) * u64::from(height))
            .map(|pixel| [part(pixel, 0), part(pixel, 1), part(pixel, 2), 1.0])
            .collect();
        Self {
            width,
            height,
            pixels,
        }
    }

    /// What the steps of a run read, laid out where they read it: the rates, as values between those of black and white.
    pub(super) fn read_by<P: Pixels>(scan: &Scan<P>) -> Self {
        let (width, height) = (scan.width(), scan.picture().height());
        let settings = scan.settings();
        let mut pixels = vec![[0.0; 4]; width as usize * height as usize];
        for step in 0..settings.steps {
            let value = if settings.span == 0.0 {
                0.5
            } else {
                ((scan.rate(step) - settings.base) / settings.span).clamp(0.0, 1.0)
            };
            let (pixel, part) = scan.site(scan.index(step));
            let pixel = &mut pixels[pixel as usize];
            match scan.per_pixel() {
                1 => *pixel = [value, value, value, 1.0],
                _ => {
                    pixel[part as usize] = value;
                    pixel[3] = 1.0;
                }
            }
        }
        Self {
            width,
            height,
            pixels,
        }
    }

    /// A PNG as the address of an `image`. Of a large one, every so many pixels.
    pub(super) fn address(&self) -> Result<String, String> {
        let every = self.width.max(self.height).div_ceil(MOST).max(1);
        let (wide, high) = (self.width.div_ceil(every), self.height.div_ceil(every));
        let mut map = Pixmap::new(wide, high).ok_or("the picture is empty")?;
        for (place, bytes) in map.data_mut().chunks_exact_mut(4).enumerate() {
            let (x, y) = (place as u32 % wide * every, place as u32 / wide * every);
            let pixel = self.pixels[(y * self.width + x) as usize];
            // Whole pixels or holes, so that nothing has to be multiplied by its cover.
            for (byte, part) in bytes.iter_mut().zip(pixel) {
                *byte = (255.0 * part * pixel[3]).round() as u8;
            }
        }
        let png = map.encode_png().map_err(|e| e.to_string())?;
        Ok(format!("data:image/png;base64,{}", STANDARD.encode(png)))
    }
}
