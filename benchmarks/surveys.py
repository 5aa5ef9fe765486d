"""Speed and memory of a whole international survey file: 600,000 simulated students in 80 countries.

Ten pairs of measures, four with ten plausible values, 80 replicate weights: from Parquet, and from text that is
converted first. Aims: Parquet under 2 minutes and 1.5 GB, text under 10 minutes and 4 GB, on two cores.

    python -m benchmarks.surveys            # Parquet
    python -m benchmarks.surveys --text     # the same as .csv
    python -m benchmarks.surveys --students 60000
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from replication.dataset.recipes import WholeSurvey
from replication.study.microdata.whole_files import compute_whole

COUNTRIES = 80


def survey() -> WholeSurvey:
    """Four measures of four constructs and a fifth of one of them: ten pairs less none of the same construct."""
    measures: list[dict[str, object]] = [
        {"variable": "positive", "measure": "teachers", "items": ["T{1..4}"], "scale": [1, 4]},
        {"variable": "belonging", "measure": "belong", "items": ["B{1..6}"], "scale": [1, 4]},
        {"variable": "engagement", "measure": "like", "items": ["L"]},
        {"variable": "victimization", "measure": "bullied", "items": ["V{1..6}"], "scale": [1, 4]},
        {"variable": "achievement", "measure": "reading", "plausible": ["PV{1..10}"]},
    ]
    recipe = {
        "sample": "simulated_{}", "source": "simulated", "file": ["simulated"], "each": "CNT", "weight": "W",
        "cluster": ["SCHOOL"], "effective": "design", "verified": "simulated", "measure": measures,
        "replicate_weights": {"method": "fay", "columns": ["R{1..80}"]},
    }  # fmt: skip
    return WholeSurvey.model_validate(
        {"key": "simulated", "title": "Simulated", "where": "made here", "recipe": recipe}
    )


def simulated(country: int, n: int) -> pd.DataFrame:
    """One simulated country of n students in schools of 25."""
    rng = np.random.default_rng(country)
    latent = rng.normal(size=n)
    items = {
        f"{letter}{i}": np.clip(np.round(2.5 + 0.7 * latent + rng.normal(scale=0.8, size=n)), 1, 4)
        for letter, count in (("T", 4), ("B", 6), ("V", 6))
        for i in range(1, count + 1)
    }
    weight = rng.uniform(1, 3, n)
    half = rng.choice([0.5, 1.5], (n // 25 + 1, 80))[np.arange(n) // 25]
    pv = {f"PV{i}": 500 + 40 * latent + rng.normal(scale=80, size=n) for i in range(1, 11)}
    replicates = {f"R{i}": weight * half[:, i - 1] for i in range(1, 81)}
    other = {
        "CNT": f"C{country:02d}",
        "SCHOOL": np.arange(n) // 25 + 1.0,
        "W": weight,
        "L": latent + rng.normal(size=n),
    }
    return pd.DataFrame({**other, **items, **pv, **replicates})


def written(folder: Path, students: int, *, text: bool) -> Path:
    """The simulated file, country after country."""
    path = folder / ("simulated.csv" if text else "simulated.parquet")
    writer = None
    for country in range(COUNTRIES):
        frame = simulated(country, students // COUNTRIES)
        if text:
            frame.round(5).to_csv(path, index=False, mode="a", header=country == 0)
            continue
        table = pa.Table.from_pandas(frame, preserve_index=False)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    return path


def main() -> None:
    """Write the file in a process of its own kind of memory, compute it, print seconds and the largest memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--students", type=int, default=600_000)
    parser.add_argument("--text", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), asked.students, text=asked.text)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start, cpu = time.perf_counter(), time.process_time()
        results = list(compute_whole(survey(), path, Path(folder) / "cache"))
        seconds, used = time.perf_counter() - start, time.process_time() - cpu
    rows = sum(len(result.rows) for result in results)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    sys.stdout.write(
        f"{len(results)} countries, {asked.students} simulated students, {rows} correlations: {seconds:.1f} s "
        f"({used:.1f} CPU s), largest memory {largest:.2f} GB ({before / 1e6:.2f} GB before), "
        f"file of {path.name.rsplit('.', 1)[1]}\n"
    )


if __name__ == "__main__":
    main()
