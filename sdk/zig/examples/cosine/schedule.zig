//! A straight warm-up, then half a cosine from `max_lr` down to `min_lr`.

const std = @import("std");
const pixelrate = @import("pixelrate.zig");

const Parameters = struct {
    max_lr: f64 = 0.1,
    min_lr: f64 = 0,
    warmup_steps: f64 = 0,

    pub const docs = .{
        .max_lr = "Learning rate at the end of the warm-up.",
        .min_lr = "Learning rate of the end of the run.",
        .warmup_steps = "Steps in which the rate rises from 0 in a straight line.",
    };
};

var p: Parameters = .{};
var total_steps: f64 = 0;

export fn parameters() *const pixelrate.Bytes {
    return pixelrate.declare(Parameters);
}

export fn init() void {
    p = pixelrate.read(Parameters);
    total_steps = @floatFromInt(pixelrate.run.totalSteps());
}

export fn @"learning-rate"(step: u64) f64 {
    const s: f64 = @floatFromInt(step);
    if (s < p.warmup_steps) return p.max_lr * ((s + 1) / p.warmup_steps);

    const t = @min((s - p.warmup_steps) / @max(total_steps - p.warmup_steps, 1), 1);
    // The square of the half angle's cosine is 0.5 * (1 + cos(pi * t)) without its cancellation near the end of the
    // run: so written, the schedules of all languages agree to a few units in the last place.
    const c = @cos(t * (std.math.pi / 2.0));
    return p.min_lr + (p.max_lr - p.min_lr) * (c * c);
}
