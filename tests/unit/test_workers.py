"""Analyses in processes of their own: the same outcomes as in one, and one line when a process is ended."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from replication import paths, workers
from replication.analysis import analysis_files
from replication.dataset import Dataset, load_dataset
from replication.workers import Job, run_jobs

FEW = ("magro2024", "roorda2017", "lei2016", "lei2018", "marengo2021")
BROKEN = """
import os, signal
from replication.analysis import Analysis

def run(context):
    os.kill(os.getpid(), signal.SIGKILL)

ANALYSIS = Analysis(id="broken", title="", question="", run=run)
"""


def jobs_of(names: tuple[str, ...]) -> list[Job]:
    files = analysis_files(paths.analyses_dir(), paths.data_dir())
    return [Job(name, files[name], f"key of {name}", 1, slow=False) for name in names]


def test_processes_and_one_process_give_the_same(dataset: Dataset) -> None:
    jobs = jobs_of(FEW)
    one = {job.name: outcome for job, outcome in run_jobs(jobs, dataset, lambda: dataset, 1, None)}
    two = {job.name: outcome for job, outcome in run_jobs(jobs, dataset, lambda: dataset, 2, None)}
    assert one == two
    assert set(one) == set(FEW)


def test_where_processes_start_anew_they_load_the_dataset_themselves(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on systems without fork: what is sent must survive the way, and the outcomes are the same."""
    monkeypatch.setattr(workers, "_FORKS", False)
    jobs = jobs_of(FEW)
    load = partial(load_dataset, paths.data_dir())
    found = {job.name: outcome for job, outcome in run_jobs(jobs, dataset, load, 2, None)}
    monkeypatch.undo()
    assert found == {job.name: outcome for job, outcome in run_jobs(jobs, dataset, load, 1, None)}


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_a_process_ended_by_the_system_costs_its_own_analysis_only(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text(BROKEN, encoding="utf-8")
    jobs = [*jobs_of(FEW), Job("broken", path, "key", 1, slow=False)]
    found = {job.name: outcome for job, outcome in run_jobs(jobs, dataset, lambda: dataset, 2, None)}
    assert "--jobs 1" in found.pop("broken")["failed"]
    assert found == {job.name: outcome for job, outcome in run_jobs(jobs_of(FEW), dataset, lambda: dataset, 1, None)}
