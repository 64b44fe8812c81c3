"""Drives the schedules that users know, as their own packages have them, over the runs that parity/cases.toml lists, and
prints what they gave: one JSON object a line, in the order of the cases, with the digits that give each number back.

    python parity.py cases.toml [--every-step]

A case with `keep` is driven over every step, and prints those that it keeps; with `--every-step`, all.
"""

import json, math, os, sys, tomllib, types, warnings

os.environ["KERAS_BACKEND"] = "numpy"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Of PyTorch's wheel only what the CPU needs is called: the libraries of CUDA may be stand-ins with nothing in them.
sys.setdlopenflags(os.RTLD_LAZY)
warnings.filterwarnings("ignore")

# How many of the last steps a case with `keep` keeps.
TAIL = 50


def metrics(name, steps):
    """What the schedules that follow the training are shown after each step; nothing is shown before the first."""
    ripple = lambda k, size: size * math.sin(12.9898 * k) * math.cos(4.1414 * k)
    make = {
        # Falls in stages, each of which ends in a plateau.
        "loss": lambda k: 0.2 + 2.0 * 0.6 ** (k // 25) * (1 + 0.3 * math.exp(-(k % 25) / 4)) + ripple(k, 0.004),
        "accuracy": lambda k: 1 - 0.9 * 0.7 ** (k // 30) * (1 + 0.1 * math.exp(-(k % 30) / 5)) + ripple(k, 0.002),
        # Falls for long, then rises for long: a greedy schedule goes up, down, and begins anew.
        "valley": lambda k: 1 + abs(k - 120) / 100 + ripple(k, 0.002),
        "noise": lambda k: 1 + ripple(k, 0.5),
    }[name]
    return [make(k) for k in range(1, steps)]


def numbered(value):
    """Tables of TOML have strings for keys where Python has numbers."""
    if isinstance(value, dict) and value and all(key.isdigit() for key in value):
        return {int(key): item for key, item in value.items()}
    return value


def optimizer(case):
    import torch

    parameters = [torch.nn.Parameter(torch.zeros(1))]
    if case.get("optimizer") == "adam":
        return torch.optim.Adam(parameters, lr=case["lr"])
    return torch.optim.SGD(parameters, lr=case["lr"], momentum=0.9)


def stepped(optimizer, steps, step):
    """What the optimizer is given at each step; `step(k)` goes on to step k."""
    rates, momenta = [], []
    for k in range(steps):
        if k:
            optimizer.step()
            step(k)
        group = optimizer.param_groups[0]
        rates.append(float(group["lr"]))
        momenta.append(float(group["betas"][0] if "betas" in group else group["momentum"]))
    return rates, momenta


def torch_(name, case, args, shown):
    import torch

    group = optimizer(case)
    if name == "SWALR":
        schedule = torch.optim.swa_utils.SWALR(group, **args)
    else:
        schedule = getattr(torch.optim.lr_scheduler, name.removesuffix(".closed"))(group, **args)
    if name.endswith(".closed"):

        def closed(k):
            schedule.last_epoch = k
            group.param_groups[0]["lr"] = schedule._get_closed_form_lr()[0]

        return stepped(group, case["steps"], closed)
    return stepped(group, case["steps"], lambda k: schedule.step(*shown[k - 1 : k]))


def transformers_(name, case, args, shown):
    from transformers import optimization

    group = optimizer(case)
    schedule = getattr(optimization, name)(group, **args)
    return stepped(group, case["steps"], lambda k: schedule.step(*shown[k - 1 : k]))


def timm_(name, case, args, shown):
    # Its schedulers alone: the rest of the package wants torchvision.
    if "timm" not in sys.modules:
        import importlib.util

        package = types.ModuleType("timm")
        package.__path__ = importlib.util.find_spec("timm").submodule_search_locations
        sys.modules["timm"] = package
    import timm.scheduler

    group = optimizer(case)
    schedule = getattr(timm.scheduler, name)(group, **args)
    return stepped(group, case["steps"], lambda k: schedule.step(k, *shown[k - 1 : k]))


def optax_(name, case, args, shown):
    import jax, optax

    jax.config.update("jax_enable_x64", True)
    if name == "reduce_on_plateau":
        import optax.contrib

        plateau = optax.contrib.reduce_on_plateau(**args)
        one = jax.numpy.asarray(1.0, dtype=jax.numpy.float64)
        state, rates = plateau.init(one), [case["lr"]]
        update = jax.jit(lambda state, value: plateau.update(one, state, value=value)[1])
        for value in shown:
            state = update(state, jax.numpy.asarray(value, dtype=jax.numpy.float64))
            rates.append(case["lr"] * float(state.scale))
        return rates, None
    schedule = getattr(optax, name)(**args)
    if "keep" in case:
        # Long runs all at once.
        return [float(rate) for rate in jax.vmap(schedule)(jax.numpy.arange(case["steps"]))], None
    return [float(schedule(k)) for k in range(case["steps"])], None


def keras_(name, case, args, shown):
    import keras
    from keras.src.backend.common import dtypes

    # Keras has 64 bits with TensorFlow alone, and rounds to 32 with what else it runs on.
    dtypes.BIT64_TO_BIT32_DTYPE.update({"float64": "float64", "int64": "int64"})
    keras.config.set_floatx("float64")
    if name == "ReduceLROnPlateau":
        callback = keras.callbacks.ReduceLROnPlateau(**args)
        model = types.SimpleNamespace(optimizer=types.SimpleNamespace(learning_rate=case["lr"]))
        callback.set_model(model)
        callback.on_train_begin()
        rates = [case["lr"]]
        for epoch, value in enumerate(shown):
            callback.on_epoch_end(epoch, {args["monitor"]: value})
            rates.append(float(model.optimizer.learning_rate))
        return rates, None
    schedule = getattr(keras.optimizers.schedules, name)(**args)
    return [float(schedule(k)) for k in range(case["steps"])], None


class Formulas:
    """What none of the packages has, as it is printed where it was published."""

    def noam(k, d_model, warmup):
        # Vaswani et al. 2017, equation 3; steps count from 1.
        return d_model**-0.5 * min((k + 1) ** -0.5, (k + 1) * warmup**-1.5)

    def rex(k, lr, total):
        # Chen, Wolfe, Kyrillidis 2022: eta_t = eta_0 (1 - t/T) / (1/2 + 1/2 (1 - t/T)).
        return lr * (1 - k / total) / (1 / 2 + 1 / 2 * (1 - k / total))

    def knee(k, lr, warmup, explore, total):
        # Iyer et al. 2020: warm-up, explore at the highest rate, then a line to 0.
        if k < warmup:
            return lr * k / warmup
        return lr if k < warmup + explore else lr * (total - k) / (total - warmup - explore)

    def power(k, lr, scale, exponent):
        # Shen et al. 2024: min(eta_max, beta a n^b), here with n in steps.
        return min(lr, scale * k**exponent) if k else lr

    def k_decay(k, lr, end, total, power):
        # Zhang, Li 2020, equation 9 with N = 1: (L_0 - L_e) (1 - t^k / T^k) + L_e.
        return (lr - end) * (1 - k**power / total**power) + end

    def budgeted_linear(k, lr, total):
        # Li, Yumer, Ramanan 2020; also Bergsma et al. 2025, linear to zero.
        return lr * (1 - k / total)

    def tanh(k, lr, end, total, lower, upper):
        # Hsueh et al. 2018, equation 5.
        return end + (lr - end) / 2 * (1 - math.tanh(lower + (upper - lower) * k / total))

    def flat_cosine(k, lr, pct_start, total):
        # fastai's fit_flat_cos (`combined_cos`): flat, then half a cosine to lr / div_final, here 0.
        share = (k / total - pct_start) / (1 - pct_start)
        return lr if share <= 0 else lr / 2 * (1 + math.cos(math.pi * share))


def formula_(name, case, args, shown):
    return [getattr(Formulas, name)(k, **args) for k in range(case["steps"])], None


def main():
    with open(sys.argv[1], "rb") as file:
        cases = tomllib.load(file)["case"]
    for case in cases:
        package, name = case["origin"].split(".", 1)
        args = {key: numbered(value) for key, value in case["args"].items()}
        shown = metrics(case["metric"], case["steps"]) if "metric" in case else []
        rates, momenta = globals()[package + "_"](name, case, args, shown)
        assert len(rates) == case["steps"], case
        every = 1 if sys.argv[2:] == ["--every-step"] else case.get("keep", 1)
        kept = [k for k in range(case["steps"]) if k % every == 0 or k + TAIL >= case["steps"]]
        line = {"origin": case["origin"], "args": case["args"], "thinned": every > 1}
        line["rates"] = [rates[k] for k in kept]
        if case.get("momentum"):
            line["momenta"] = [momenta[k] for k in kept]
        if shown:
            line["metrics"] = shown
        print(json.dumps(line))


main()
