"""What does it cost to ask the schedule? The mean of a step and the most in one step, in microseconds, and the share of the
steps' time in percent, for each schedule. (It may be asked for some steps at once, in the first of them.)"""

import glob
import sys

import pandas

folder = sys.argv[1]


def read(files, columns, **options):
    """One table of all runs. Its strings, which come as categories of each run's own, as plain strings."""
    paths = sorted(glob.glob(f"{folder}/*/*/{files}"))
    table = pandas.concat(pandas.read_parquet(path, columns=columns, **options) for path in paths)
    words = table.select_dtypes("category").columns
    return table.astype(dict.fromkeys(words, "object")).reset_index(drop=True)


steps = read("steps/*.parquet", ["study", "run", "schedule_ns", "step_ns"])
runs = read("summary.parquet", ["study", "run", "schedule"])

costs = steps.groupby(["study", "run"], as_index=False).agg(
    steps=("step_ns", "size"), asking=("schedule_ns", "sum"), worst=("schedule_ns", "max"), training=("step_ns", "sum")
)
of = costs.merge(runs, on=["study", "run"]).groupby("schedule")
answer = pandas.DataFrame(
    {
        "mean_us": of["asking"].sum() / 1e3 / of["steps"].sum(),
        "worst_us": of["worst"].max() / 1e3,
        "percent": 100.0 * of["asking"].sum() / of["training"].sum(),
    }
)
answer = answer.reset_index().sort_values(["percent", "schedule"], ascending=[False, True])
print(answer)
