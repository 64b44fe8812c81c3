//! Colours as red, green and blue from 0 to 1, in sRGB: painters mix by eye, not by physics.

/// Red, green, blue, each from 0 to 1.
pub(crate) type Rgb = [f32; 3];

/// The colour of a web-style number such as `0xF2E8D5`.
pub(crate) fn hex(code: u32) -> Rgb {
    [16, 8, 0].map(|shift| ((code >> shift) & 255) as f32 / 255.0)
}

/// `t` of the way from one number to another.
pub(crate) fn lerp(from: f32, to: f32, t: f32) -> f32 {
    from + (to - from) * t
}

/// `t` of the way from one colour to another; `t` is clamped to 0..1.
pub(crate) fn mix(from: Rgb, to: Rgb, t: f32) -> Rgb {
    let t = t.clamp(0.0, 1.0);
    [0, 1, 2].map(|i| lerp(from[i], to[i], t))
}

/// The colour, lighter (over 1) or darker (under 1).
pub(crate) fn scale(colour: Rgb, by: f32) -> Rgb {
    colour.map(|v| v * by)
}

/// Two lights together.
pub(crate) fn add(a: Rgb, b: Rgb, amount: f32) -> Rgb {
    [0, 1, 2].map(|i| a[i] + b[i] * amount)
}

/// A glow over a colour: it lightens and never overflows.
pub(crate) fn screen(below: Rgb, glow: Rgb, amount: f32) -> Rgb {
    [0, 1, 2].map(|i| 1.0 - (1.0 - below[i]) * (1.0 - (glow[i] * amount).clamp(0.0, 1.0)))
}

/// A glaze of thin paint over a colour: it darkens.
pub(crate) fn glaze(below: Rgb, paint: Rgb, amount: f32) -> Rgb {
    [0, 1, 2].map(|i| below[i] * lerp(1.0, paint[i], amount))
}

/// Perceived brightness, from 0 to 1.
pub(crate) fn luma(colour: Rgb) -> f32 {
    0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
}

/// The colour at `t` on a ramp of (place, colour) stops in rising order.
pub(crate) fn ramp(stops: &[(f32, u32)], t: f32) -> Rgb {
    let mut last = stops
        .first()
        .map_or((0.0, [0.0; 3]), |&(at, code)| (at, hex(code)));
    for &(at, code) in stops {
        let next = (at, hex(code));
        if t < at {
            return mix(
                last.1,
                next.1,
                smooth(last.0, next.0, t) * 0.5 + ((t - last.0) / (next.0 - last.0)) * 0.5,
            );
        }
        last = next;
    }
    last.1
}

/// 0 below `from`, 1 above `to`, and an S in between. With `from` over `to` it falls.
pub(crate) fn smooth(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// A soft bell: 1 at `centre`, near 0 at two `width`s from it.
pub(crate) fn bell(centre: f32, width: f32, x: f32) -> f32 {
    let d = (x - centre) / width;
    (-d * d).exp()
}
