"""The study command's own times, each in a process of its own: `python -m benchmarks.study`.

There is no peer: the processor's seconds stand beside those Python needs to import pandas alone, on the same machine. A
busy machine makes all of them longer, seldom more than by half.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.growth import grow
from replication import paths

REPEATS = 5
ROWS = 100_000


def best(*arguments: str, repeats: int = REPEATS) -> float:
    """The fewest seconds of the processor of some runs."""
    seconds = []
    for _ in range(repeats):
        before = os.times()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
        after = os.times()
        used = after.children_user + after.children_system
        seconds.append(used - before.children_user - before.children_system)
    return min(seconds)


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


def many_works(folder: Path) -> Path:
    """Eighteen times the works: about 100,000 sound rows, simulated from those that are held."""
    project = folder / "grown"
    shutil.copytree(paths.data_dir(), project / "data" / "references")
    grow(project, 18)
    return project / "data" / "references"


def main() -> None:
    pandas = best("-c", "import pandas")
    with tempfile.TemporaryDirectory() as name:
        bad, sound = many_rows(Path(name)), many_works(Path(name))
        rows = (
            ("import pandas", pandas),
            ("study --help", study("--help")),
            ("check of one work", study("check", "lei2016")),
            ("check of the whole dataset", study("check")),
            (
                f"check of {ROWS:,} rows of a work, half of them bad",
                study("check", "ayub", "--data", str(bad), repeats=2),
            ),
            (f"check of {ROWS:,} sound rows in 711 works", study("check", "--data", str(sound), repeats=2)),
            ("preview of a work", study("preview", "timss2015usa", repeats=2)),
        )
    for label, seconds in rows:
        print(f"{label:50} {seconds:7.2f} s {seconds / pandas:7.1f} x")


if __name__ == "__main__":
    main()
