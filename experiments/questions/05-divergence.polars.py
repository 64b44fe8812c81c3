"""Where did the loss of a run first leave all bounds, and at what learning rate? The bound is twice the loss of guessing
among ten classes, 2 ln 10; a NaN is over it."""

import math
import sys

import polars as pl

folder = sys.argv[1]
steps = pl.scan_parquet(
    f"{folder}/*/*/steps/*.parquet", missing_columns="insert", extra_columns="ignore"
)

loss = pl.col("train_loss")
answer = (
    steps.filter(loss.is_nan() | (loss > 2 * math.log(10)))
    .group_by(pl.col("study", "run").cast(pl.String))
    .agg(pl.col("step").min(), pl.col("learning_rate").sort_by("step").first())
    .sort("study", "run")
    .collect()
)
print(answer)
