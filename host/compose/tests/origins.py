"""What PyTorch's SequentialLR, ChainedScheduler and CosineAnnealingWarmRestarts and optax's join_schedules and
sgdr_schedule make of whole runs, for origins.rs to agree with.

    python origins.py    a line a case: its name, and the learning rate of every step

The golden file that origins.rs reads was printed with PyTorch 2.11.0 and optax 0.2.8.
"""

import os
import sys
import warnings

# Those of CUDA's functions that nobody calls need not be there.
sys.setdlopenflags(os.RTLD_LAZY)

os.environ.setdefault("JAX_PLATFORMS", "cpu")
import jax
import optax
import torch
from torch.optim import lr_scheduler as lr

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
# Warm restarts.
run("restarts", 0.1, lambda o: lr.CosineAnnealingWarmRestarts(o, T_0=30))

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
print(f"PyTorch {torch.__version__}, optax {optax.__version__}", file=sys.stderr)
