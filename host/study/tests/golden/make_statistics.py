"""Writes statistics.json, which the unit tests of `statistics` compare with: `python make_statistics.py`, with scipy and
statsmodels from PyPI. The versions that gave the numbers are in the file."""

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import scipy
import statsmodels
from scipy import integrate, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

# Accuracies of few seeds; eighths and the like, so that sums are exact and equal resamples have equal means.
SAMPLES = [
    [0.75, 0.8125, 0.78125],
    [0.5, 0.75, 0.875, 0.625],
    [0.90625, 0.9375, 0.921875, 0.8125, 0.953125],
]
DIFFERENCES = [
    [0.012, 0.015, 0.011],
    [0.3, -0.1],
    [0.004, -0.001, 0.002, 0.007, 0.003],
    [0.01, 0.02, -0.005, 0.015, 0.03, 0.001],
    [0.02, 0.02, 0.01, -0.02, 0.05, 0.04, 0.03, -0.01],
]


def interval(values):
    low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    return [float(low), float(high)]


def bca(values):
    """scipy's interval over every resample there is, in place of drawn ones."""
    everything = np.array([np.mean(resample) for resample in itertools.product(values, repeat=len(values))])
    result = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=0,
        method="BCa",
        bootstrap_result=SimpleNamespace(bootstrap_distribution=everything),
    )
    return [float(result.confidence_interval.low), float(result.confidence_interval.high)]


def flipped(values):
    if len(values) < 6:
        return None
    result = stats.permutation_test(
        (np.array(values),), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    return float(result.pvalue)


def power(effect, pairs, alpha):
    """statsmodels' number; where scipy has none (NaN, for large effects), the integral over the normal density."""
    known = float(TTestPower().power(effect, pairs, alpha, alternative="two-sided"))
    if not np.isnan(known):
        return known
    v, shift = pairs - 1, effect * np.sqrt(pairs)
    c = stats.t.isf(alpha / 2, v)

    def inside(z):
        return stats.norm.pdf(z) * stats.chi2.cdf(v * ((z + shift) / c) ** 2, v)

    # So large an effect is found on its own side alone.
    return integrate.quad(inside, max(-shift, -12.0), 12.0, points=[0.0], epsabs=1e-13, limit=500)[0]


p_values = [
    [0.01, 0.04, 0.03],
    [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216],
    [0.5, 0.5, 0.9],
]
golden = {
    "versions": {"scipy": scipy.__version__, "statsmodels": statsmodels.__version__},
    "intervals": [{"values": s, "deviation": float(np.std(s, ddof=1)), "t": interval(s), "bca": bca(s)} for s in SAMPLES],
    "paired": [
        {"differences": d, "p_t": float(stats.ttest_1samp(d, 0.0).pvalue), "p_flip": flipped(d)} for d in DIFFERENCES
    ],
    "holm": [{"p": p, "corrected": multipletests(p, method="holm")[1].tolist()} for p in p_values],
    "power": [
        {"effect": d, "pairs": n, "alpha": a, "power": power(d, n, a)}
        for d in (0.05, 0.2, 0.5, 1.0, 2.5, 8.0)
        for n in (2, 3, 5, 16, 100, 1000)
        for a in (0.05, 0.005)
    ],
    "needed": [
        {
            "effect": d,
            "alpha": a,
            "pairs": next((n for n in range(2, 1001) if power(d, n, a) >= 0.8), None),
        }
        for d in (0.1, 0.3, 0.5, 1.0, 1.7, 3.0, 10.0)
        for a in (0.05, 0.005)
    ],
}
(Path(__file__).parent / "statistics.json").write_text(json.dumps(golden, indent=1) + "\n")
