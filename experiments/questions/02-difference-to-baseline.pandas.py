"""How much better is each schedule than the one called "baseline", seed by seed? Pairs of runs of one seed share their
weights and their pictures' order, so that their differences scatter less than their accuracies do."""

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


runs = read("summary.parquet", ["study", "seed", "schedule", "final_eval_accuracy"])

is_base = runs["schedule"] == "baseline"
base = runs[is_base].drop(columns="schedule")
pairs = runs[~is_base].merge(base, on=["study", "seed"], suffixes=("", "_base")).dropna()
pairs["difference"] = pairs["final_eval_accuracy"] - pairs["final_eval_accuracy_base"]
difference = pairs.groupby("schedule")["difference"]
answer = pandas.DataFrame(
    {
        "pairs": difference.size(),
        "difference": difference.mean(),
        "standard_error": difference.sem(),
        "wins": difference.apply(lambda values: (values > 0).sum()),
    }
)
answer = answer.reset_index().sort_values(["difference", "schedule"], ascending=[False, True])
print(answer)
