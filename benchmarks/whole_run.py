"""The whole run as its users see it: wall time, processor time and peak memory of each command, in one run.

    python -m benchmarks.whole_run              # without the models that sample
    python -m benchmarks.whole_run --sampling   # with them, from an empty cache

Works on a copy of the project, so no report or cache of yours is touched. The peer of two processes is one process.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from replication import paths


@dataclass(frozen=True)
class Timing:
    """Seconds on the clock, seconds of the processors, and the largest process in megabytes."""

    wall: float
    processor: float
    memory: float


def timed(root: Path, *arguments: str) -> Timing:
    """One command in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    command = [sys.executable, "-c", _RUN, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=root, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    return Timing(wall, used, float(done.stdout.split()[-1]))


_RUN = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "replication.run", *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""


def copied(folder: Path) -> Path:
    """The project without its caches and reports in the making."""
    ignore = shutil.ignore_patterns("__pycache__", "latest", "partial", ".*")
    for name in ("replication", "data", "analyses", "reports", "tests"):
        shutil.copytree(paths.project_root() / name, folder / name, ignore=ignore)
    return folder


def main() -> None:
    """Print a line a command."""
    sampling = [] if "--sampling" in sys.argv[1:] else ["--no-sampling"]
    print(f"{'command':44s}{'wall s':>8s}{'cpu s':>8s}{'MB':>7s}")
    with tempfile.TemporaryDirectory() as name:
        root = copied(Path(name))
        for label, arguments, keep in (
            ("everything, nothing cached", sampling, False),
            ("the same with one process", [*sampling, "--jobs", "1"], False),
            ("input unchanged", [*sampling, "--jobs", "1"], True),
            ("--help", ["--help"], True),
        ):
            if not keep:
                shutil.rmtree(root / ".cache", ignore_errors=True)
                shutil.rmtree(root / "reports" / "latest", ignore_errors=True)
            found = timed(root, *arguments, *(["--quiet"] if arguments != ["--help"] else []))
            print(f"{label:44s}{found.wall:8.2f}{found.processor:8.2f}{found.memory:7.0f}")


if __name__ == "__main__":
    main()
