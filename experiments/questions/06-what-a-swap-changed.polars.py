"""What did each swap change? The mean loss and the mean learning rate of the hundred steps before it, and of the hundred
from it on."""

import sys

import polars as pl

folder = sys.argv[1]
steps = pl.scan_parquet(f"{folder}/*/*/steps/*.parquet", missing_columns="insert").with_columns(
    pl.col("study", "run").cast(pl.String)
)

takeovers = (
    steps.filter(pl.col("swaps") > 0)
    .group_by("study", "run", "swaps")
    .agg(takeover=pl.col("step").min())
)
before = pl.col("step") < pl.col("takeover")
rate, loss = pl.col("learning_rate"), pl.col("train_loss")
answer = (
    steps.drop("swaps")
    .join(takeovers, on=["study", "run"])
    .filter(pl.col("step").is_between(pl.col("takeover") - 100, pl.col("takeover") + 99))
    .group_by("study", "run", "swaps", "takeover")
    .agg(
        rate_before=rate.filter(before).mean(),
        rate_after=rate.filter(~before).mean(),
        loss_before=loss.filter(before).mean(),
        loss_after=loss.filter(~before).mean(),
    )
    .sort("study", "run", "swaps")
    .collect()
)
print(answer)
