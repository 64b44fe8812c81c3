/// A straight warm-up, then half a cosine down to the end of the run.
module schedule;

import std.algorithm.comparison : max, min;
import std.math.constants : PI_2;
import core.math : cos;
import pixelrate;

mixin Parameters!(
    number!("max_lr", 0.1, "Learning rate at the end of the warm-up."),
    number!("min_lr", 0, "Learning rate of the end of the run."),
    number!("warmup_steps", 0, "Steps in which the rate rises from 0 in a straight line."),
);

export extern (C) double learning_rate(ulong step)
{
    const s = double(step), w = params.warmup_steps;
    if (s < w)
        return params.max_lr * ((s + 1) / w);
    const t = min((s - w) / max(totalSteps - w, 1), 1);
    // cos² of the half angle is 0.5 * (1 + cos(pi t)) without its cancellation near the end, where 1 + cos is all
    // rounding error: so this agrees to a few ULP with the same schedule in any other language.
    const c = cos(t * double(PI_2));
    return params.min_lr + (params.max_lr - params.min_lr) * (c * c);
}
