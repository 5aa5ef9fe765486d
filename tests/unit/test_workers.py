"""Analyses in processes of their own: the same outcomes as in one, and one line when a process is ended."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from replication import paths, workers
from replication.analysis import analysis_files
from replication.dataset import Dataset, load_dataset
from replication.workers import Job, OutcomeData, run_jobs

FEW = ("magro2024", "roorda2017", "lei2016", "lei2018", "marengo2021")
BROKEN = """
import os, signal
from replication.analysis import Analysis

def run(context):
    os.kill(os.getpid(), signal.SIGKILL)

ANALYSIS = Analysis(id="broken", title="", question="", run=run)
"""

PARTED = """
import os, signal
from dataclasses import dataclass
from pathlib import Path
from replication.analysis import Analysis, Findings, Table

@dataclass
class Here:  # a class that only this file knows
    times: int

def part(name):
    def compute(context):
        seen = Path(__file__).with_name(f"{name}.txt")
        seen.write_text(seen.read_text() + "x" if seen.exists() else "x")
        FAULT
        return Here(len(seen.read_text()))
    return compute

PARTS = {name: part(name) for name in ("a", "b", "c")}

def run(context):
    found = [context.parts[name] for name in (*PARTS, "a")]
    rows = tuple((one.times,) for one in found)
    return Findings(tables=(Table(id="t", title="", columns=("times",), rows=rows, section="more"),))

ANALYSIS = Analysis(id="parted", title="", question="", run=run, parts=PARTS)
"""


def jobs_of(names: tuple[str, ...]) -> list[Job]:
    files = analysis_files(paths.analyses_dir(), paths.data_dir())
    return [Job(name, files[name], 1, slow=False) for name in names]


def outcomes(
    jobs: Sequence[Job], dataset: Dataset, processes: int, load: Callable[[], Dataset] | None = None
) -> dict[str, OutcomeData]:
    with run_jobs(jobs, dataset, load or (lambda: dataset), processes, None) as running:
        return {job.name: outcome for job, outcome in running}


def test_processes_and_one_process_give_the_same(dataset: Dataset) -> None:
    jobs = jobs_of(FEW)
    one = outcomes(jobs, dataset, 1)
    two = outcomes(jobs, dataset, 2)
    assert one == two
    assert set(one) == set(FEW)


def test_where_processes_start_anew_they_load_the_dataset_themselves(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on systems without fork: what is sent must survive the way, and the outcomes are the same."""
    monkeypatch.setattr(workers, "_FORKS", False)
    jobs = jobs_of(FEW)
    load = partial(load_dataset, paths.data_dir())
    found = outcomes(jobs, dataset, 2, load)
    monkeypatch.undo()
    assert found == outcomes(jobs, dataset, 1, load)


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_a_process_ended_by_the_system_costs_its_own_analysis_only(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text(BROKEN, encoding="utf-8")
    jobs = [*jobs_of(FEW), Job("broken", path, 1, slow=False)]
    found = outcomes(jobs, dataset, 2)
    assert "--jobs 1" in found.pop("broken")["failed"]
    assert found == outcomes(jobs_of(FEW), dataset, 1)


def parted(folder: Path, fault: str = "pass") -> Job:
    """An analysis in parts that count how often each is computed, beside itself."""
    folder.mkdir()
    (folder / "parted.py").write_text(PARTED.replace("FAULT", fault), encoding="utf-8")
    return Job("parted", folder / "parted.py", 1, slow=False, parts=("a", "b", "c"))


@pytest.mark.parametrize("processes", [1, 2])
def test_a_part_is_computed_once_in_whatever_process(dataset: Dataset, tmp_path: Path, processes: int) -> None:
    jobs = [parted(tmp_path / "analyses"), *jobs_of(FEW)]
    found = outcomes(jobs, dataset, processes)
    assert found["parted"]["tables"][0]["rows"] == [[1]] * 4
    assert set(found) == {"parted", *FEW}
    # A single analysis has enough parts for two processes, too.
    again = parted(tmp_path / "again")
    alone = outcomes([again], dataset, processes)["parted"]
    assert alone["tables"] == found["parted"]["tables"]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_part_that_postpones_is_computed_once_and_what_it_lacks_is_said(
    dataset: Dataset, tmp_path: Path, processes: int
) -> None:
    asking = parted(tmp_path / "analyses", "context.remember(name if name != 'c' else 'b', 'key', lambda: 0)")
    job = replace(asking, postpones=("a", "b"))
    outcome = outcomes([job], dataset, processes)["parted"]
    assert outcome["tables"][0]["rows"] == [[1]] * 4 and outcome["postponed"] == ["a", "b"]


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("raise ValueError('no such sample')", "no such sample"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "--jobs 1"),
        ("return lambda: 0", "times"),  # cannot be sent, so the analysis meets it itself
    ],
)
def test_a_part_that_fails_is_a_failure_of_its_analysis(
    dataset: Dataset, tmp_path: Path, fault: str, said: str
) -> None:
    jobs = [parted(tmp_path / "analyses", fault), *jobs_of(FEW)]
    found = outcomes(jobs, dataset, 2)
    assert said in found.pop("parted")["failed"]
    assert set(found) == set(FEW) and not any(outcome.get("failed") for outcome in found.values())


@pytest.mark.skipif(not workers._FORKS, reason="forks a process")
def test_what_is_done_apart_leaves_its_files_and_says_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def task() -> None:
        (tmp_path / "made").write_text("made", encoding="utf-8")
        raise ValueError("nobody asked")

    workers.begin_apart(task, 1)
    assert not list(tmp_path.iterdir()), "one process has none to spare"
    workers.begin_apart(task, 2)
    for process in multiprocessing.active_children():
        process.join()
    assert (tmp_path / "made").exists() and capfd.readouterr() == ("", "")
