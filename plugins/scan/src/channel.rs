//! What of a pixel is read.

use crate::choice::choices;

choices! {
    /// The numbers that a pixel gives, each in [0, 1].
    Channels as "channels" {
        /// Red, green and blue in turn: the blog post's.
        Interleaved = "interleaved",
        /// Rec. 601 in Pillow's integers (`convert("L")`).
        Luma = "luma",
        /// Red alone.
        Red = "red",
        /// Green alone.
        Green = "green",
        /// Blue alone.
        Blue = "blue",
        /// The whole picture in red, then in green, then in blue.
        Planar = "planar",
        /// The mean of red, green and blue.
        Mean = "mean",
        /// Rec. 709's luma: 0.2126 R + 0.7152 G + 0.0722 B.
        Luma709 = "luma_709",
        /// HSV's value: the largest of the three.
        Value = "value",
        /// HSV's saturation.
        Saturation = "saturation",
        /// HSV's hue: red 0, green 1/3, blue 2/3; 0 for grey.
        Hue = "hue",
        /// HSL's lightness: midway between the largest and the smallest.
        Lightness = "lightness",
        /// CIE L* (1976, D65), over 100.
        LabL = "lab_l",
        /// CIE a* (green to red), as (a* + 128) / 255.
        LabA = "lab_a",
        /// CIE b* (blue to yellow), as (b* + 128) / 255.
        LabB = "lab_b",
        /// L of Oklab (Ottosson, 2020): lightness that looks even.
        OklabL = "oklab_l",
        /// JPEG's blue difference (JFIF 1.02): 1/2 for grey.
        Cb = "cb",
        /// JPEG's red difference.
        Cr = "cr",
    }
}

impl Channels {
    /// Numbers that each pixel of a picture of so many channels (1 or 3) gives.
    pub fn per_pixel(self, channels: u32) -> u32 {
        match self {
            Self::Interleaved | Self::Planar => channels,
            _ => 1,
        }
    }
}

/// A colour in sRGB, each part in [0, 1].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Colour {
    pub(crate) red: f64,
    pub(crate) green: f64,
    pub(crate) blue: f64,
}

impl Colour {
    /// The number that `channels` reads of it.
    pub(crate) fn read(self, channels: Channels) -> f64 {
        let Self { red, green, blue } = self;
        let (most, least) = (red.max(green).max(blue), red.min(green).min(blue));
        match channels {
            // The others are read where the picture lies.
            Channels::Interleaved | Channels::Planar | Channels::Red => red,
            Channels::Green => green,
            Channels::Blue => blue,
            Channels::Luma => self.luma(),
            Channels::Mean => (red + green + blue) / 3.0,
            Channels::Luma709 => 0.2126 * red + 0.7152 * green + 0.0722 * blue,
            Channels::Value => most,
            Channels::Saturation if most == 0.0 => 0.0,
            Channels::Saturation => (most - least) / most,
            Channels::Hue => self.hue(most, most - least),
            Channels::Lightness => (most + least) / 2.0,
            Channels::LabL => (1.16 * lab(self.xyz()[1]) - 0.16).clamp(0.0, 1.0),
            Channels::LabA => {
                let [x, y, _] = self.xyz().map(lab);
                ((500.0 * (x - y) + 128.0) / 255.0).clamp(0.0, 1.0)
            }
            Channels::LabB => {
                let [_, y, z] = self.xyz().map(lab);
                ((200.0 * (y - z) + 128.0) / 255.0).clamp(0.0, 1.0)
            }
            Channels::OklabL => self.oklab().clamp(0.0, 1.0),
            Channels::Cb => (0.5 + (blue - self.luma_601()) / 1.772).clamp(0.0, 1.0),
            Channels::Cr => (0.5 + (red - self.luma_601()) / 1.402).clamp(0.0, 1.0),
        }
    }

    /// In integers, so that the result is the same everywhere.
    fn luma(self) -> f64 {
        let byte = |part: f64| (part * 255.0).round() as u32;
        let sum = byte(self.red) * 19_595 + byte(self.green) * 38_470 + byte(self.blue) * 7_471;
        f64::from(((sum + 0x8000) >> 16) as f32 / 255.0)
    }

    fn luma_601(self) -> f64 {
        0.299 * self.red + 0.587 * self.green + 0.114 * self.blue
    }

    fn hue(self, most: f64, chroma: f64) -> f64 {
        let Self { red, green, blue } = self;
        if chroma == 0.0 {
            return 0.0;
        }
        let sixths = if most == red {
            ((green - blue) / chroma).rem_euclid(6.0)
        } else if most == green {
            (blue - red) / chroma + 2.0
        } else {
            (red - green) / chroma + 4.0
        };
        sixths / 6.0
    }

    fn linear(self) -> [f64; 3] {
        // IEC 61966-2-1.
        [self.red, self.green, self.blue].map(|part| {
            if part <= 0.040_45 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        })
    }

    /// CIE XYZ, each part over that of D65's white.
    fn xyz(self) -> [f64; 3] {
        const ROWS: [[f64; 3]; 3] = [
            [0.412_456_4, 0.357_576_1, 0.180_437_5],
            [0.212_672_9, 0.715_152_2, 0.072_175_0],
            [0.019_333_9, 0.119_192_0, 0.950_304_1],
        ];
        let light = self.linear();
        ROWS.map(|row| dot(row, light) / (row[0] + row[1] + row[2]))
    }

    fn oklab(self) -> f64 {
        const CONES: [[f64; 3]; 3] = [
            [0.412_221_470_8, 0.536_332_536_3, 0.051_445_992_9],
            [0.211_903_498_2, 0.680_699_545_1, 0.107_396_956_6],
            [0.088_302_461_9, 0.281_718_837_6, 0.629_978_700_5],
        ];
        let light = self.linear();
        let cones = CONES.map(|row| dot(row, light).cbrt());
        dot([0.210_454_255_3, 0.793_617_785_0, -0.004_072_046_8], cones)
    }
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// CIE's function of the lightness equations (ISO/CIE 11664-4).
fn lab(t: f64) -> f64 {
    const DELTA: f64 = 6.0 / 29.0;
    if t > DELTA * DELTA * DELTA {
        t.cbrt()
    } else {
        t / (3.0 * DELTA * DELTA) + 4.0 / 29.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(channels: Channels, bytes: [u8; 3]) -> f64 {
        let [red, green, blue] = bytes.map(|byte| f64::from(f32::from(byte) / 255.0));
        Colour { red, green, blue }.read(channels)
    }

    #[test]
    fn colours_have_their_known_numbers() {
        // Lindbloom's calculator, Ottosson's post, Python's colorsys, and JFIF's formulas.
        let (red, teal) = ([255, 0, 0], [0, 128, 128]);
        let known = [
            (Channels::LabL, red, 0.532_408),
            (Channels::LabA, red, (80.092_5 + 128.0) / 255.0),
            (Channels::LabB, red, (67.203_2 + 128.0) / 255.0),
            (Channels::OklabL, red, 0.627_955),
            (Channels::Hue, teal, 0.5),
            (Channels::Saturation, teal, 1.0),
            (Channels::Value, teal, 128.0 / 255.0),
            (Channels::Lightness, teal, 64.0 / 255.0),
            (Channels::Luma, red, 76.0 / 255.0),
            (Channels::Luma709, red, 0.2126),
            (Channels::Cr, red, 1.0),
            (Channels::Cb, red, 0.5 - 0.299 / 1.772),
            (Channels::Mean, teal, 256.0 / 765.0),
            (Channels::Green, teal, 128.0 / 255.0),
            (Channels::LabL, [119, 119, 119], 0.500_345),
        ];
        for (channels, bytes, wanted) in known {
            let found = read(channels, bytes);
            assert!(
                (found - wanted).abs() < 2e-5,
                "{channels:?} {bytes:?}: {found}, not {wanted}"
            );
        }
    }

    #[test]
    fn grey_has_no_colour_and_every_number_is_in_bounds() {
        for byte in 0..=255 {
            let grey = f64::from(f32::from(byte) / 255.0);
            for &channels in Channels::ALL {
                let found = read(channels, [byte; 3]);
                let wanted = match channels {
                    Channels::Hue | Channels::Saturation => 0.0,
                    Channels::LabA | Channels::LabB => 128.0 / 255.0,
                    Channels::Cb | Channels::Cr => 0.5,
                    Channels::LabL | Channels::OklabL => {
                        assert!((0.0..=1.0).contains(&found), "{channels:?}");
                        continue;
                    }
                    _ => grey,
                };
                assert!(
                    (found - wanted).abs() < 1e-6,
                    "{channels:?} {byte}: {found}"
                );
            }
        }
        for corner in 0..8_u8 {
            let bytes = [0, 1, 2].map(|bit| if corner >> bit & 1 == 1 { 255 } else { 0 });
            for &channels in Channels::ALL {
                let found = read(channels, bytes);
                assert!(
                    (0.0..=1.0).contains(&found),
                    "{channels:?} {bytes:?}: {found}"
                );
            }
        }
    }
}
