//! A picture, read pixel by pixel: one value a step, black the lowest rate and white the highest.

const pixelrate = @import("pixelrate.zig");

const Parameters = struct {
    image: pixelrate.Picture = .{},
    base_lr: f64 = 1e-5,
    max_lr: f64 = 1e-2,

    pub const docs = .{
        .image = "The picture: a file of the study's picture folder, or a built-in one.",
        .base_lr = "Learning rate of a black pixel.",
        .max_lr = "Learning rate of a white pixel.",
    };
};

var p: Parameters = .{};
var picture: pixelrate.Image = undefined;
var last: u64 = 0;

export fn parameters() *const pixelrate.Bytes {
    return pixelrate.declare(Parameters);
}

export fn init() void {
    p = pixelrate.read(Parameters);
    picture = p.image.open(pixelrate.run.totalSteps());
    last = picture.len() - 1;
}

export fn @"learning-rate"(step: u64) f64 {
    // A resized picture may have a few values fewer than the run has steps: the last one is held.
    return p.base_lr + (p.max_lr - p.base_lr) * picture.value(@min(step, last));
}
