"""What PyTorch's SequentialLR, ChainedScheduler and CosineAnnealingWarmRestarts make of whole runs, for origins.rs to
agree with.

    python pytorch.py    a line a case: its name, and the learning rate of every step

The golden file that origins.rs reads was printed with PyTorch 2.11.0.
"""

import os
import sys
import warnings

# Those of CUDA's functions that nobody calls need not be there.
sys.setdlopenflags(os.RTLD_LAZY)

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
print(f"PyTorch {torch.__version__}", file=sys.stderr)
