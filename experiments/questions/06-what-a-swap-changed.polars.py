"""What did each swap change? The mean loss and the mean learning rate of the hundred steps before it, and of the hundred
from it on."""

import sys

import polars as pl

folder = sys.argv[1]
# A run of before `swaps` was written has none: its files' schema does not name it, so this does.
columns = {
    "study": pl.Categorical,
    "run": pl.Categorical,
    "step": pl.Int64,
    "swaps": pl.Int64,
    "learning_rate": pl.Float64,
    "train_loss": pl.Float64,
}
steps = pl.scan_parquet(
    f"{folder}/*/*/steps/*.parquet",
    schema=columns,
    missing_columns="insert",
    extra_columns="ignore",
)

# They are few, and tell which steps are worth a look: the rest is left out as it is read.
takeovers = (
    steps.filter(pl.col("swaps") > 0)
    .group_by("study", "run", "swaps")
    .agg(takeover=pl.col("step").min())
    .collect(engine="streaming")
)
takeover, step = takeovers["takeover"], pl.col("step")
near = step.is_between(pl.lit(takeover.min()) - 100, pl.lit(takeover.max()) + 99)
before = step < pl.col("takeover")
rate, loss = pl.col("learning_rate"), pl.col("train_loss")
answer = (
    steps.drop("swaps")
    .filter(near)
    .join(takeovers.lazy(), on=["study", "run"])
    .filter(step.is_between(pl.col("takeover") - 100, pl.col("takeover") + 99))
    .group_by("study", "run", "swaps", "takeover")
    .agg(
        rate_before=rate.filter(before).mean(),
        rate_after=rate.filter(~before).mean(),
        loss_before=loss.filter(before).mean(),
        loss_after=loss.filter(~before).mean(),
    )
    .with_columns(pl.col("study", "run").cast(pl.String))
    .sort("study", "run", "swaps")
    .collect(engine="streaming")
)
print(answer)
