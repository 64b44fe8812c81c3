//! PyTorch's ReduceLROnPlateau on the loss of evaluations (mode "min", a relative threshold).

const std = @import("std");
const pixelrate = @import("pixelrate.zig");

const Parameters = struct {
    learning_rate: f64 = 0.1,
    factor: f64 = 0.1,
    patience: f64 = 10,
    threshold: f64 = 1e-4,
    min_lr: f64 = 0,

    pub const docs = .{
        .learning_rate = "Learning rate of the first steps.",
        .factor = "What the rate is multiplied by on a plateau.",
        .patience = "Evaluations without an improvement before that.",
        .threshold = "How much lower than the best a loss must be to improve on it, as a share of the best.",
        .min_lr = "The rate falls no lower.",
    };
};

/// What a stop must not lose: 32 bytes, the same in every language.
const State = extern struct {
    rate: f64,
    best: f64 = std.math.inf(f64),
    /// Evaluations without an improvement.
    bad: u64 = 0,
    /// The step of the evaluation that was handled last.
    seen: u64 = 0,
};

var p: Parameters = .{};
var state: State = undefined;

export fn parameters() *const pixelrate.Bytes {
    return pixelrate.declare(Parameters);
}

export fn init() void {
    p = pixelrate.read(Parameters);
    state = .{ .rate = p.learning_rate };
}

export fn @"learning-rate"(_: u64) f64 {
    const evaluation = pixelrate.training.evalStep();
    if (evaluation != state.seen) {
        state.seen = evaluation;
        judge(pixelrate.training.evalLoss());
    }
    return state.rate;
}

fn judge(loss: f64) void {
    if (loss < state.best * (1 - p.threshold)) {
        state.best = loss;
        state.bad = 0;
    } else {
        state.bad += 1;
    }
    const bad: f64 = @floatFromInt(state.bad);
    if (bad > p.patience) {
        state.rate = @max(state.rate * p.factor, p.min_lr);
        state.bad = 0;
    }
}

export fn save() *const pixelrate.Bytes {
    return pixelrate.save(&state);
}

export fn restore(start: [*]const u8, length: usize) void {
    pixelrate.restore(&state, start, length);
}
