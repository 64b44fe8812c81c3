"""A picture's pixels, row by row, as learning rates."""

from pixelrate import Number, Parameters, Picture, Schedule
from wit_world.imports import run
from wit_world.imports.images import Image


class Pixels(Parameters):
    image = Picture("The picture: a file of the study's picture folder, or a built-in one.")
    base_lr = Number(1e-5, "Learning rate of a black pixel.")
    max_lr = Number(1e-2, "Learning rate of a white pixel.")


p = Pixels()


class WitWorld(Schedule):
    def init(self) -> None:
        self.picture = Image.open(p.image, run.total_steps())
        self.last = self.picture.len() - 1

    def learning_rate(self, step: int) -> float:
        return p.base_lr + (p.max_lr - p.base_lr) * self.picture.value(min(step, self.last))

    def parameters(self) -> str:
        return p.declared()
