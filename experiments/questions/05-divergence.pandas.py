"""Where did the loss of a run first leave all bounds, and at what learning rate? The bound is twice the loss of guessing
among ten classes, 2 ln 10; a NaN is over it."""

import glob
import math
import sys

import pandas

folder = sys.argv[1]


def read(files, columns, **options):
    """One table of all runs. Its strings, which come as categories of each run's own, as plain strings."""
    paths = sorted(glob.glob(f"{folder}/*/*/{files}"))
    table = pandas.concat(pandas.read_parquet(path, columns=columns, **options) for path in paths)
    words = table.select_dtypes("category").columns
    return table.astype(dict.fromkeys(words, "object")).reset_index(drop=True)


steps = read("steps/*.parquet", ["study", "run", "step", "learning_rate", "train_loss"], dtype_backend="pyarrow")

# pyarrow's types tell a NaN from a null, which pandas' own do not.
loss = steps["train_loss"].dropna().astype("float64")
out = steps.loc[loss[loss.isna() | (loss > 2 * math.log(10))].index]
out = out.sort_values(["study", "run", "step"])
answer = out.groupby(["study", "run"], as_index=False).first()[["study", "run", "step", "learning_rate"]]
print(answer)
