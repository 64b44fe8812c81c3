/// Reads a picture value by value, and uses the intensities as learning rates.
module schedule;

import pixelrate;
import std.algorithm.comparison : min;

mixin Parameters!(
    picture!("image", "The picture: a file of the study's picture folder, or a built-in one."),
    number!("base_lr", 1e-5, "Learning rate of a black pixel."),
    number!("max_lr", 1e-2, "Learning rate of a white pixel."),
);

Picture image;
ulong last;

export extern (C) void init()
{
    image = params.image.open(totalSteps);
    last = image.length - 1;
}

export extern (C) double learning_rate(ulong step)
{
    // The last value holds where the picture has fewer values than the run has steps.
    const value = image[min(step, last)];
    return params.base_lr + (params.max_lr - params.base_lr) * value;
}
