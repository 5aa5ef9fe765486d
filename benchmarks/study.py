"""The study command's own times, each in a process of its own: `python -m benchmarks.study`.

There is no peer: the figures stand beside the time Python needs to import pandas alone, which every check pays.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from replication import paths

REPEATS = 5
ROWS = 100_000


def best(*arguments: str, repeats: int = REPEATS) -> float:
    """The best wall time of some runs, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
        times.append(time.perf_counter() - start)
    return min(times)


def study(*arguments: str, repeats: int = REPEATS) -> float:
    return best("-m", "replication.study", *arguments, repeats=repeats)


def many_rows(folder: Path) -> Path:
    """The dataset with one work of 100,000 effect rows, every second one with an error."""
    root = folder / "references"
    shutil.copytree(paths.data_dir(), root)
    path = root / "ayub" / "effects.csv"
    header, row = path.read_text(encoding="utf-8").splitlines()[:2]
    cells = row.split(",")
    lines = []
    for i in range(ROWS):
        cells[0], cells[header.split(",").index("value")] = f"ayub-{i:06d}", "much" if i % 2 else ".31"
        lines.append(",".join(cells))
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return root


def main() -> None:
    pandas = best("-c", "import pandas")
    with tempfile.TemporaryDirectory() as name:
        root = many_rows(Path(name))
        rows = (
            ("import pandas", pandas),
            ("study --help", study("--help")),
            ("check of one work", study("check", "ridder2018")),
            ("check of the whole dataset", study("check")),
            (f"check of {ROWS:,} rows, half of them bad", study("check", "ayub", "--data", str(root), repeats=2)),
            ("preview of a work", study("preview", "timss2015usa", repeats=2)),
        )
    for label, seconds in rows:
        print(f"{label:40} {seconds:7.2f} s {seconds / pandas:7.1f} x")


if __name__ == "__main__":
    main()
