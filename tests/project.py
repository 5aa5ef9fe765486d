"""A copy of the project that runs in seconds: all of its code and words, some reproductions, the works they need."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from replication import paths

__all__ = ["FAST", "few_works", "run", "small_project", "start"]

FAST = ("roorda2017", "magro2024")
WORKS = ("jakcheung2018", "magro2024", "metasem2026", "roorda2011", "roorda2017")
"""What the reproductions of the tests recompute, the rows these rest on, and who else used the rows."""


def small_project(folder: Path, reproductions: Collection[str]) -> None:
    """Package, data of the few works, words and the named reproductions, in a folder."""
    root = paths.project_root()
    # With the compiled modules, or every copy compiles them anew; a half-written one belongs to another process.
    shutil.copytree(root / "replication", folder / "replication", ignore=shutil.ignore_patterns("*.pyc.*"))
    shutil.copytree(root / "data", folder / "data", ignore=shutil.ignore_patterns("references"))
    few_works(root / "data" / "references", folder / "data" / "references", WORKS)
    (folder / "analyses" / "reproductions").mkdir(parents=True)
    # What the report is about, in its words: without them only the general words would be known.
    shutil.copy(root / "analyses" / "report.toml", folder / "analyses")
    shutil.copytree(root / "analyses" / "locale", folder / "analyses" / "locale")
    for name in reproductions:
        shutil.copy(root / "analyses" / "reproductions" / f"{name}.py", folder / "analyses" / "reproductions")


def few_works(references: Path, to: Path, works: Collection[str]) -> None:
    """A dataset of some of the works, in which nothing names another: 133 works are 270 pages a run would write."""
    to.mkdir(parents=True)
    for path in references.iterdir():
        # What lists other works, screened or to be found, may be missing.
        if path.is_file() and path.name not in ("screened.csv", "leads.csv"):
            shutil.copy(path, to)
        elif path.is_dir() and path.name in (*works, "article"):
            shutil.copytree(path, to / path.name)
    released = (to / "released.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    held = [line for line in released[1:] if (to / line.partition(",")[0]).exists()]
    (to / "released.csv").write_text("".join((released[0], *held)), encoding="utf-8")
    for record in (to / "traps.toml", *(to / "article").glob("*.toml")):
        text = record.read_text(encoding="utf-8")
        record.write_text(re.sub(r"(?m)^works = .*", lambda line: _named(line[0], works), text), encoding="utf-8")
    entries = re.split(r"(?m)^(?=@)", (to / "references.bib").read_text(encoding="utf-8"))[1:]
    kept = [entry for entry in entries if entry.split("{")[1].split(",")[0] in works]
    (to / "references.bib").write_text("".join(kept), encoding="utf-8")


def _named(line: str, works: Collection[str]) -> str:
    """A list of works in a record, without those that are left out."""
    kept = [key for key in re.findall(r'"(\w+)"', line) if key in works]
    return f"works = {kept}"  # Python and TOML write a list of plain words alike


def start(project: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(project), "COLUMNS": "200"}
    command = [sys.executable, "-m", "replication.run", *arguments]
    return subprocess.Popen(
        command,
        cwd=project,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    process = start(project, *arguments)
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
