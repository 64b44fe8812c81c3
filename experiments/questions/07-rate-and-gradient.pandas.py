"""Do the learning rate and the gradient's norm go together? Their correlation over the steps of each run whose rate
changes and whose gradients were measured."""

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


steps = read("steps/*.parquet", ["study", "run", "learning_rate", "grad_norm"]).dropna()

rows = [
    (study, run, len(rows), rows["learning_rate"].corr(rows["grad_norm"]))
    for (study, run), rows in steps.groupby(["study", "run"])
    if rows["learning_rate"].nunique() > 1
]
answer = pandas.DataFrame(rows, columns=["study", "run", "steps", "correlation"])
print(answer)
