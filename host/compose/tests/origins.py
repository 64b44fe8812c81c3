"""What PyTorch's SequentialLR, ChainedScheduler, CosineAnnealingWarmRestarts, LambdaLR, MultiplicativeLR and SWALR, optax's
join_schedules and sgdr_schedule, and timm's MultiStepLRScheduler with a warm-up make of whole runs, for origins.rs to agree
with.

    python origins.py    a line a case: its name, and the learning rate of every step

The golden file that origins.rs reads was printed with PyTorch 2.11.0, optax 0.2.8 and timm 1.0.31.
"""

import importlib.metadata
import importlib.util
import os
import sys
import types
import warnings

# Those of CUDA's functions that nobody calls need not be there.
sys.setdlopenflags(os.RTLD_LAZY)

os.environ.setdefault("JAX_PLATFORMS", "cpu")
import jax
import optax
import torch
from torch.optim import lr_scheduler as lr
from torch.optim.swa_utils import SWALR

# timm's schedulers alone: the rest of the package wants torchvision.
package = types.ModuleType("timm")
package.__path__ = importlib.util.find_spec("timm").submodule_search_locations
sys.modules["timm"] = package
from timm.scheduler import MultiStepLRScheduler

warnings.simplefilter("ignore")
STEPS = 120


def optimizer(rate):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)


def show(name, rates):
    print(name, *(repr(float(rate)) for rate in rates))


def run(name, rate, build):
    opt = optimizer(rate)
    scheduler = build(opt)
    rates = []
    for _ in range(STEPS):
        rates.append(opt.param_groups[0]["lr"])
        opt.step()
        scheduler.step()
    show(name, rates)


# A linear warm-up, and then a cosine, an exponential decay, or cycles.
run("warmup-cosine", 0.4, lambda o: lr.SequentialLR(
    o, [lr.LinearLR(o, 0.1, total_iters=20), lr.CosineAnnealingLR(o, T_max=100)], [20]))
run("warmup-exponential", 0.3, lambda o: lr.SequentialLR(
    o, [lr.LinearLR(o, 1 / 3, total_iters=7), lr.ExponentialLR(o, 0.95)], [7]))
run("warmup-cyclic", 0.001, lambda o: lr.SequentialLR(
    o,
    [lr.ConstantLR(o, 0.5, total_iters=15),
     lr.CyclicLR(o, base_lr=0.001, max_lr=0.1, step_size_up=10, cycle_momentum=False)],
    [15]))
# Three parts.
run("three", 0.2, lambda o: lr.SequentialLR(
    o,
    [lr.ConstantLR(o, 0.25, total_iters=1000), lr.ExponentialLR(o, 0.9), lr.LinearLR(o, 1.0, 0.5, total_iters=60)],
    [30, 60]))
# Factors that multiply.
run("chained", 0.5, lambda o: lr.ChainedScheduler([
    lr.ExponentialLR(o, 0.97), lr.LinearLR(o, 0.2, total_iters=25), lr.ConstantLR(o, 0.5, total_iters=1000)]))
# The same with a constant factor that ends, and a cosine in stairs.
run("chained-constant", 0.05, lambda o: lr.ChainedScheduler([
    lr.ConstantLR(o, 0.1, total_iters=20), lr.ExponentialLR(o, 0.9)]))
run("chained-cosine", 0.2, lambda o: lr.ChainedScheduler([
    lr.CosineAnnealingLR(o, T_max=200), lr.StepLR(o, 30, gamma=0.5)]))
# Functions of Python's, in place of which there are plugins: of the step, and from step to step.
run("lambda", 0.1, lambda o: lr.LambdaLR(o, lambda k: (k + 1) ** -0.5))
run("lambda-warmup", 0.4, lambda o: lr.LambdaLR(o, lambda k: k / 30 if k < 30 else 0.9 ** (k - 30)))
run("multiplicative", 0.3, lambda o: lr.MultiplicativeLR(o, lambda k: 0.95))
run("multiplicative-stairs", 0.5, lambda o: lr.MultiplicativeLR(o, lambda k: {25: 0.3, 80: 2.0}.get(k, 1.0)))
# Part 0 has no step, and yet its factor is there at step 0 (PyTorch's issue 185872).
run("milestone-0", 0.4, lambda o: lr.SequentialLR(
    o, [lr.ConstantLR(o, 0.5, total_iters=1000), lr.ExponentialLR(o, 0.9)], [0]))
# Warm restarts.
run("restarts", 0.1, lambda o: lr.CosineAnnealingWarmRestarts(o, T_0=30))


def run_then_average(name, rate, build, start, **arguments):
    """SWALR as its documentation has it: it is stepped in the other's stead from a step on."""
    opt = optimizer(rate)
    scheduler, average = build(opt), SWALR(opt, **arguments)
    rates = []
    for step in range(STEPS):
        rates.append(opt.param_groups[0]["lr"])
        opt.step()
        (scheduler if step < start else average).step()
    show(name, rates)


# An end at a constant rate, for weights to be averaged under; the last within a SequentialLR.
run_then_average("decay-swa", 0.3, lambda o: lr.ExponentialLR(o, 0.97), 40, swa_lr=0.02, anneal_epochs=20)
run_then_average(
    "line-swa", 0.2, lambda o: lr.LinearLR(o, 1.0, 0.1, total_iters=60), 60,
    swa_lr=0.15, anneal_epochs=35, anneal_strategy="linear")
run("sequential-swa", 0.3, lambda o: lr.SequentialLR(
    o, [lr.ExponentialLR(o, 0.97), SWALR(o, swa_lr=0.02, anneal_epochs=50)], [40]))

# optax's joined schedules, each of which is asked for the step less its boundary.
jax.config.update("jax_enable_x64", True)


def ask(name, schedule):
    show(name, (schedule(step) for step in range(STEPS)))


ask("joined", optax.join_schedules(
    [optax.linear_schedule(0.0, 0.4, 10), optax.cosine_decay_schedule(0.4, 50), optax.constant_schedule(0.01)],
    [10, 60]))
ask("joined-exponential", optax.join_schedules(
    [optax.constant_schedule(0.2), optax.exponential_decay(0.1, 1, 0.9), optax.linear_schedule(0.3, 0.1, 50)],
    [25, 70]))
ask("joined-in-joined", optax.join_schedules(
    [optax.join_schedules([optax.linear_schedule(0.0, 0.1, 10), optax.exponential_decay(0.1, 1, 0.9)], [10]),
     optax.join_schedules([optax.constant_schedule(0.02), optax.linear_schedule(0.02, 0.0, 35)], [35])],
    [50]))
# Cosines of different lengths and heights, each after a warm-up.
ask("sgdr", optax.sgdr_schedule([
    {"init_value": 0.0, "peak_value": 0.4, "warmup_steps": 5, "decay_steps": 25, "end_value": 0.1},
    {"init_value": 0.1, "peak_value": 0.2, "warmup_steps": 10, "decay_steps": 95, "end_value": 0.0}]))
ask("sgdr-three", optax.sgdr_schedule([
    {"init_value": 0.02, "peak_value": 0.1, "warmup_steps": 8, "decay_steps": 20, "end_value": 0.0},
    {"init_value": 0.0, "peak_value": 0.3, "warmup_steps": 0, "decay_steps": 40, "end_value": 0.03},
    {"init_value": 0.03, "peak_value": 0.6, "warmup_steps": 30, "decay_steps": 60, "end_value": 0.3}]))


def by_timm(name, rate, **arguments):
    """timm's schedulers are told the step."""
    opt = optimizer(rate)
    scheduler = MultiStepLRScheduler(opt, **arguments)
    rates = []
    for step in range(STEPS):
        if step:
            opt.step()
            scheduler.step(step)
        rates.append(opt.param_groups[0]["lr"])
    show(name, rates)


# Milestones that count from the end of the warm-up, and from the start of the run.
by_timm("warmup-steps", 0.4, decay_t=[20, 50], decay_rate=0.1, warmup_t=10, warmup_lr_init=0.01)
by_timm("warmup-within", 0.2, decay_t=[20, 50, 90], decay_rate=0.5, warmup_t=12, warmup_prefix=False)
timm = importlib.metadata.version("timm")
print(f"PyTorch {torch.__version__}, optax {optax.__version__}, timm {timm}", file=sys.stderr)
