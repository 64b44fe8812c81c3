"""Half a cosine wave down from the peak, after a straight line up to it."""

import math

from pixelrate import Number, Parameters, Schedule
from wit_world.imports import run


class Cosine(Parameters):
    max_lr = Number(0.1, "Learning rate at the end of the warm-up.")
    min_lr = Number(0, "Learning rate of the end of the run.")
    warmup_steps = Number(0, "Steps in which the rate rises from 0 in a straight line.")


p = Cosine()


class WitWorld(Schedule):
    def learning_rate(self, step: int) -> float:
        if step < p.warmup_steps:
            return p.max_lr * ((step + 1) / p.warmup_steps)
        t = min((step - p.warmup_steps) / max(run.total_steps() - p.warmup_steps, 1), 1)
        # cos² of the half angle is 0.5 * (1 + cos(pi * t)) without its cancellation near the end of the run: all
        # languages agree to a few units in the last place.
        c = math.cos(t * (math.pi / 2))
        return p.min_lr + (p.max_lr - p.min_lr) * (c * c)

    def parameters(self) -> str:
        return p.declared()
