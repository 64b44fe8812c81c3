"""Which schedule came out best, and how sure is that? The mean accuracy at the end over the seeds, with the half width of
its 95 % confidence interval (Student's t; 1.96 deviations beyond 31 seeds). Runs that a search dropped are left out."""

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


runs = read("summary.parquet", ["schedule", "status", "final_eval_accuracy"])
runs = runs[runs["status"].isin(["finished", "diverged"])]
t = [
    12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010, 2.1788, 2.1604, 2.1448,
    2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484,
    2.0452, 2.0423,
]

accuracy = runs.dropna().groupby("schedule", observed=True)["final_eval_accuracy"]
answer = pandas.DataFrame({"seeds": accuracy.size(), "accuracy": accuracy.mean()})
quantile = [None if n == 1 else t[n - 2] if n < 32 else 1.96 for n in answer["seeds"]]
answer["half_width"] = pandas.Series(quantile, index=answer.index, dtype=float) * accuracy.sem()
answer = answer.reset_index().sort_values(["accuracy", "schedule"], ascending=[False, True])
print(answer)
