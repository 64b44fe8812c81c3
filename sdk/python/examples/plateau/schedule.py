"""A rate that falls where the evaluation loss no longer does: PyTorch's ReduceLROnPlateau."""

import math
import struct
from functools import cached_property

from pixelrate import Number, Parameters, Schedule
from wit_world.imports import run, training


class Plateau(Parameters):
    learning_rate = Number(0.1, "Learning rate at the start.")
    factor = Number(0.1, "What a plateau multiplies the rate by.")
    patience = Number(10, "Evaluations without an improvement that are waited for.")
    threshold = Number(1e-4, "Part of the best loss by which a loss must be lower to count as an improvement.")
    min_lr = Number(0, "The rate falls no lower.")


p = Plateau()

# rate, best, bad, seen: the same bytes in every language, so that one language's plugin can take over from another's.
STATE = struct.Struct("<ddQQ")


class WitWorld(Schedule):
    def __init__(self):
        self.best = math.inf
        self.bad = 0
        self.seen = 0

    # Not in __init__: that runs as the plugin is built, when there is no study to ask.
    @cached_property
    def rate(self) -> float:
        return p.learning_rate

    def learning_rate(self, step: int) -> float:
        evaluated = training.eval_step()
        if evaluated != self.seen:
            self.seen = evaluated
            loss = training.eval_loss()
            if loss < self.best * (1 - p.threshold):
                self.best = loss
                self.bad = 0
            else:
                self.bad += 1
            if self.bad > p.patience:
                self.rate = max(self.rate * p.factor, p.min_lr)
                self.bad = 0
        return self.rate

    def save(self) -> bytes:
        return STATE.pack(self.rate, self.best, self.bad, self.seen)

    def restore(self, state: bytes) -> None:
        if len(state) != STATE.size:
            run.fail(f"the state has {len(state)} bytes, and should have {STATE.size}")
        self.rate, self.best, self.bad, self.seen = STATE.unpack(state)

    def parameters(self) -> str:
        return p.declared()
