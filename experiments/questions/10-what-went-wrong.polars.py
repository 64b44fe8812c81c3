"""Which runs did not go straight through? How often each was resumed, met a fault, refused a schedule, had one put back, or
took another over."""

import sys

import polars as pl

folder = sys.argv[1]
events = pl.scan_parquet(f"{folder}/*/*/events/*.parquet")

kinds = {"resumed": "resumed", "faults": "fault", "rejected": "rejected", "reverted": "reverted", "swapped": "swapped"}
kind = pl.col("kind").cast(pl.String)
answer = (
    events.filter(kind.is_in(list(kinds.values())))
    .group_by(pl.col("study", "run").cast(pl.String))
    .agg(**{name: (kind == word).sum() for name, word in kinds.items()})
    .sort("study", "run")
    .collect()
)
print(answer)
