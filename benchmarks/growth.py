"""What check, run and site cost with many times the works: `python -m benchmarks.growth [TIMES ...]` (default 1 10).

Works on a copy of the project whose works with effects are repeated under new keys, their correlations shrunk by a
seeded factor a work, so that no two works are the same data and matrices stay possible. Claims, answers and recipes are
left out of the repeats, for nothing of theirs could be printed anywhere. The repeats are simulated data and never leave
the copy. Runs are without sampling: averages over models of bias for the new rows are postponed and cost nothing here.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.whole_run import copied

REPEATED = ("work.toml", "samples.csv", "effects.csv", "measures.csv", "NOTES.md")
PAGE = 1_000_000


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds on the clock and of the processors, megabytes of the largest process, and the most of all `together`.

    Memory that processes share is counted once in the latter; it is looked at twice a second, on Linux alone.
    """

    wall: float
    processor: float
    memory: float
    together: float


def grow(project: Path, times: int) -> int:
    """Repeat every work with effects so that there are `times` as many of them; returns how many works there are."""
    references, rng = project / "data" / "references", np.random.default_rng(1)
    works = sorted(p for p in references.iterdir() if (p / "effects.csv").is_file() and (p / "work.toml").is_file())
    bibliography = (references / "references.bib").read_text(encoding="utf-8")
    entries = {
        key: entry for entry in re.split(r"\n(?=@)", bibliography) for key in re.findall(r"^@\w+\{(\w+),", entry)
    }
    added = []
    for turn in range(1, times):
        for work in works:
            key = f"{work.name}x{turn}"
            shrunk = float(rng.uniform(0.7, 0.93))
            (references / key).mkdir()
            for name in REPEATED:
                if (work / name).is_file():
                    text = (work / name).read_text(encoding="utf-8").replace(work.name, key)
                    (references / key / name).write_text(text, encoding="utf-8")
                    if name in ("samples.csv", "effects.csv"):
                        _rename(references / key / name, f"x{turn}", shrunk)
            if work.name in entries:
                # titles and addresses apart as well: the same one twice is a mistake the check rightly finds
                entry = re.sub(r"(?m)^\s*(doi|url|isbn)\s*=.*\n", "", entries[work.name].replace(work.name, key))
                added.append(re.sub(r"(title\s*=\s*\{+)", rf"\g<1>Repeat {turn} of ", entry))
    (references / "references.bib").write_text("\n".join([bibliography, *added]), encoding="utf-8")
    return sum((p / "work.toml").is_file() for p in references.iterdir())


def _rename(file: Path, suffix: str, shrunk: float) -> None:
    """Give every id of a table its own name, and make correlations smaller by a factor."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        for column in ("sample_id", "subgroup_of", "overlaps", "effect_id", "replaced_by", "part_of"):
            if row.get(column):
                row[column] = f"{row[column]}{suffix}"
        if row.get("reading") == "computed":  # which would ask for a recipe that recomputes it
            row["reading"] = "data file"
        if row.get("value") and row.get("statistic", "r") == "r":
            row["value"] = f"{shrunk * float(row['value']):.4f}"
        if "as_printed" in row:
            row["as_printed"] = ""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def cost(root: Path, *arguments: str) -> tuple[Cost, int, str]:
    """One command in a process of its own, its exit code and what it said last."""
    code = (
        "import resource, subprocess, sys; done = subprocess.run([sys.executable, '-m', *sys.argv[1:]], "
        "capture_output=True, text=True); said = (done.stderr or done.stdout).strip().splitlines(); "
        "print(said[-1] if said else ''); "
        "print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True) as process:
        output, together = "", 0.0
        while process.returncode is None:
            try:
                output = process.communicate(timeout=0.5)[0]
            except subprocess.TimeoutExpired:
                together = max(together, _held(process.pid))
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    *said, last = output.strip().splitlines()
    exit_code, memory = last.split()
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, used, float(memory), together), int(exit_code), " ".join(said)


def _held(process: int) -> float:
    """Megabytes of a process and all below it, each its share of what it has in common with others; 0 where unknown."""
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
        children = [task.read_text().split() for task in Path(f"/proc/{process}/task").glob("*/children")]
    except OSError:  # it has ended meanwhile, or this is no Linux
        return 0.0
    own = re.search(r"(?m)^Pss:\s+(\d+)", rollup)
    return (int(own[1]) / 1024 if own else 0.0) + sum(_held(int(child)) for found in children for child in found)


_ROW = re.compile(r'<text[^>]* class="row"')
_MARK = re.compile(r'<(?:circle|path|rect|polygon)[^>]* class="(?:point|mark)\b')


def site(report: Path) -> str:
    """Megabytes of the site, its largest page, and the figure that draws most rows or points.

    Hidden files are what the next run takes over; no reader is given them. The data of a figure hold every row, so what
    it draws is counted in the drawing: marks of points and estimates, and names. Narrow drawings show the same, their
    names on several lines.
    """
    files = [p for p in report.rglob("*") if p.is_file() and not p.name.startswith(".")]
    pages = [p for p in files if p.suffix == ".html"]
    if not pages:
        return "no site"
    largest = max(pages, key=lambda p: p.stat().st_size)
    figures = [p for p in (report / "figures").glob("*.svg") if not p.stem.endswith("-narrow")]
    most, tallest = max((_drawn(p), p.stem) for p in figures)
    over = sum(p.stat().st_size > PAGE for p in pages)
    return (
        f"{sum(p.stat().st_size for p in files) / 1e6:.1f} MB in {len(files)} files; largest page {largest.name} "
        f"{largest.stat().st_size / 1e3:.0f} kB, {over} over 1 MB; most rows or marks of a figure {most} ({tallest})"
    )


def _drawn(figure: Path) -> int:
    text = figure.read_text(encoding="utf-8")
    return max(len(_ROW.findall(text)), len(_MARK.findall(text)))


def main() -> None:
    """Print a line a command for every size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("times", type=int, nargs="*", default=[1, 10])
    parser.add_argument("--check-only", action="store_true", help="leave out the run and its site")
    options = parser.parse_args()
    print(f"{'works':>6}  {'command':34}{'wall s':>8}{'CPU s':>8}{'MB':>7}{'all MB':>8}  exit")
    for times in options.times:
        with tempfile.TemporaryDirectory() as folder:
            root = copied(Path(folder))
            works = grow(root, times)
            commands = {"check of everything": ("replication.study", "check")}
            if not options.check_only:
                commands["run without sampling, cold"] = ("replication.run", "--no-sampling", "--quiet")
            for label, arguments in commands.items():
                found, code, said = cost(root, *arguments)
                ends = f"{code} {said[:90] if code else ''}"
                memory = f"{found.memory:7.0f}{found.together:8.0f}"
                print(
                    f"{works:6}  {label:34}{found.wall:8.1f}{found.processor:8.1f}{memory}  {ends}",
                    flush=True,
                )
            if not options.check_only:
                print(f"{works:6}  site: {site(root / 'reports' / 'latest')}", flush=True)
            shutil.rmtree(root / ".cache", ignore_errors=True)


if __name__ == "__main__":
    main()
