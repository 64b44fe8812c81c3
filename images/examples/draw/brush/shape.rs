//! Outlines: smooth curves through points, brush strokes that swell and taper, simple forms.

use tiny_skia::{LineCap, LineJoin, Path, PathBuilder, Rect, Stroke, Transform};

/// A place in the picture.
pub(crate) type At = (f32, f32);

/// An outline; nothing at all where the points gave none.
#[derive(Clone)]
pub(crate) struct Shape(pub(crate) Option<Path>);

impl Shape {
    /// Straight lines through the points, closed.
    pub(crate) fn polygon(points: &[At]) -> Self {
        Self::lines(points, true)
    }

    /// Straight lines through the points.
    pub(crate) fn line(points: &[At]) -> Self {
        Self::lines(points, false)
    }

    fn lines(points: &[At], close: bool) -> Self {
        let mut path = PathBuilder::new();
        for (i, &(x, y)) in points.iter().enumerate() {
            if i == 0 {
                path.move_to(x, y)
            } else {
                path.line_to(x, y)
            }
        }
        if close {
            path.close();
        }
        Self(path.finish())
    }

    /// A smooth closed curve through the points.
    pub(crate) fn blob(points: &[At]) -> Self {
        let n = points.len();
        let mut path = PathBuilder::new();
        for i in 0..n {
            let [a, b, c, d] = [i + n - 1, i, i + 1, i + 2].map(|k| points[k % n]);
            if i == 0 {
                path.move_to(b.0, b.1);
            }
            curve(&mut path, a, b, c, d);
        }
        path.close();
        Self(path.finish())
    }

    /// A smooth open curve through the points.
    pub(crate) fn curve(points: &[At]) -> Self {
        let mut path = PathBuilder::new();
        if let Some(&(x, y)) = points.first() {
            path.move_to(x, y);
        }
        through(&mut path, points);
        Self(path.finish())
    }

    /// A smooth curve through the points, closed by straight lines through `rest`: hills, walls.
    pub(crate) fn ground(points: &[At], rest: &[At]) -> Self {
        let mut path = PathBuilder::new();
        if let Some(&(x, y)) = points.first() {
            path.move_to(x, y);
        }
        through(&mut path, points);
        for &(x, y) in rest {
            path.line_to(x, y);
        }
        path.close();
        Self(path.finish())
    }

    /// An ellipse around a centre, turned by `angle` (radians, clockwise).
    pub(crate) fn oval(centre: At, radius_x: f32, radius_y: f32, angle: f32) -> Self {
        let oval = Rect::from_ltrb(-radius_x, -radius_y, radius_x, radius_y)
            .and_then(PathBuilder::from_oval);
        let place = Transform::from_rotate(angle.to_degrees()).post_translate(centre.0, centre.1);
        Self(oval.and_then(|path| path.transform(place)))
    }

    /// A rectangle by its corners.
    pub(crate) fn rect(left: f32, top: f32, right: f32, bottom: f32) -> Self {
        Self(Rect::from_ltrb(left, top, right, bottom).map(PathBuilder::from_rect))
    }

    /// A brush stroke along a smooth curve; `width` gives its breadth from 0 (start) to 1 (end) of its length.
    pub(crate) fn stroke(points: &[At], width: impl Fn(f32) -> f32) -> Self {
        let spine = spine(points, 6);
        let last = spine.len().saturating_sub(1);
        let mut left = Vec::with_capacity(2 * spine.len());
        let mut right = Vec::with_capacity(spine.len());
        for (i, &(x, y)) in spine.iter().enumerate() {
            let (before, after) = (spine[i.saturating_sub(1)], spine[(i + 1).min(last)]);
            let (dx, dy) = (after.0 - before.0, after.1 - before.1);
            let half = width(i as f32 / last.max(1) as f32) / 2.0 / dx.hypot(dy).max(1e-6);
            left.push((x - dy * half, y + dx * half));
            right.push((x + dy * half, y - dx * half));
        }
        left.extend(right.into_iter().rev());
        Self::polygon(&left)
    }

    /// The outline itself as a line of this width, with round ends.
    pub(crate) fn outlined(&self, width: f32) -> Self {
        let stroke = Stroke {
            width,
            line_cap: LineCap::Round,
            line_join: LineJoin::Round,
            ..Stroke::default()
        };
        Self(self.0.as_ref().and_then(|path| path.stroke(&stroke, 4.0)))
    }
}

fn through(path: &mut PathBuilder, points: &[At]) {
    let last = points.len().saturating_sub(1);
    for i in 0..last {
        curve(
            path,
            points[i.saturating_sub(1)],
            points[i],
            points[i + 1],
            points[(i + 2).min(last)],
        );
    }
}

/// The piece from `b` to `c` of a Catmull-Rom curve, as a Bézier curve.
fn curve(path: &mut PathBuilder, a: At, b: At, c: At, d: At) {
    path.cubic_to(
        b.0 + (c.0 - a.0) / 6.0,
        b.1 + (c.1 - a.1) / 6.0,
        c.0 - (d.0 - b.0) / 6.0,
        c.1 - (d.1 - b.1) / 6.0,
        c.0,
        c.1,
    );
}

/// Points along a smooth curve through `points`, `steps` for every piece.
pub(crate) fn spine(points: &[At], steps: usize) -> Vec<At> {
    let last = points.len().saturating_sub(1);
    let mut out = Vec::with_capacity(last * steps + 1);
    for i in 0..last {
        let [a, b, c, d] = [i.saturating_sub(1), i, i + 1, (i + 2).min(last)].map(|k| points[k]);
        for step in 0..steps {
            let t = step as f32 / steps as f32;
            let at = |a: f32, b: f32, c: f32, d: f32| {
                0.5 * (2.0 * b
                    + (c - a) * t
                    + (2.0 * a - 5.0 * b + 4.0 * c - d) * t * t
                    + (3.0 * b - a - 3.0 * c + d) * t * t * t)
            };
            out.push((at(a.0, b.0, c.0, d.0), at(a.1, b.1, c.1, d.1)));
        }
    }
    out.extend(points.last());
    out
}
