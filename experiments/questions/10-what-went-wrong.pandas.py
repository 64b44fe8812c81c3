"""Which runs did not go straight through? How often each was resumed, met a fault, refused a schedule, had one put back, or
took another over."""

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


events = read("events/*.parquet", ["study", "run", "kind"])

kinds = {"resumed": "resumed", "faults": "fault", "rejected": "rejected", "reverted": "reverted", "swapped": "swapped"}
found = events[events["kind"].isin(kinds.values())]
answer = (
    found.assign(**{name: found["kind"] == word for name, word in kinds.items()})
    .groupby(["study", "run"], as_index=False)[list(kinds)]
    .sum()
)
print(answer)
