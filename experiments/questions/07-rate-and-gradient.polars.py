"""Do the learning rate and the gradient's norm go together? Their correlation over the steps of each run whose rate
changes and whose gradients were measured."""

import sys

import polars as pl

folder = sys.argv[1]
steps = pl.scan_parquet(
    f"{folder}/*/*/steps/*.parquet", missing_columns="insert", extra_columns="ignore"
)

rate, norm = pl.col("learning_rate"), pl.col("grad_norm")
answer = (
    steps.filter(norm.is_not_null(), norm.is_not_nan())
    .group_by(pl.col("study", "run").cast(pl.String))
    .agg(steps=pl.len(), correlation=pl.corr(rate, norm), changes=rate.min() < rate.max())
    .filter("changes")
    .drop("changes")
    .sort("study", "run")
    .collect()
)
print(answer)
