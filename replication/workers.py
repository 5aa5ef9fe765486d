"""Analyses side by side, a process per core.

On Linux a worker process is a fork: it begins with the dataset and every library that the first process has loaded.
Elsewhere it starts anew and is sent the dataset's folder, so that it loads the same rows itself.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from replication.analysis import Context
from replication.analysis.failures import OutcomeData, failed_outcome, part_apart, run_apart
from replication.dataset import Dataset
from replication.provenance import Cache

__all__ = ["Forks", "Job", "OutcomeData", "begin_apart", "run_jobs"]

Task = TypeVar("Task")
Result = TypeVar("Result")

_FORKS = sys.platform == "linux"
_PARENT_DEATH = 1  # PR_SET_PDEATHSIG
_AHEAD = 16  # short analyses take milliseconds: so many are begun that no process waits for the next
_FEW = 4  # below this many analyses, starting processes costs more than it gives


@dataclass(frozen=True, slots=True)
class Job:
    """One analysis to run in whatever process, and where it is declared.

    `slow` ones sample; `long` ones take seconds; a `finding` takes a good part of one. `postpones` as in a `Context`;
    `parts` are the names of those of the analysis.
    """

    name: str
    path: Path
    seed: int
    slow: bool
    long: bool = False
    finding: bool = False
    postpones: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Given:
    """What a worker is given when it begins: how to come by the dataset, and the store of slow results."""

    load: Callable[[], Dataset]
    cache: Cache | None


class _Worker:
    """What this process, a worker, was given; `function` and `tasks` are set before it is forked."""

    dataset: ClassVar[Dataset]
    cache: ClassVar[Cache | None]
    function: ClassVar[Callable[[Any], Any]]
    tasks: ClassVar[Sequence[Any]]


@contextmanager
def run_jobs(
    jobs: Sequence[Job], dataset: Dataset, load: Callable[[], Dataset], processes: int, cache: Cache | None
) -> Iterator[Iterator[tuple[Job, OutcomeData]]]:
    """Begin to run the jobs, and give their outcomes as they come; at the end of the block nothing runs any more.

    Parameters
    ----------
    jobs : what to run, longest first.
    dataset : what they run on; `load` gives the same dataset in a process that has not got it.
    processes : how many; 0 means one per core. With one, or little to do, everything runs in this process.
    cache : store of slow results; None to compute everything.

    The parts of an analysis are computed before it, each in whatever process is free. An analysis that fails, or whose
    process the system ends (as it does where memory is short), has an outcome that says so; the others are not touched.
    """
    tasks = sum(max(1, len(job.parts)) for job in jobs)
    workers = min(processes or os.cpu_count() or 1, tasks)
    # In this process errors show their place and a debugger works.
    if workers <= 1 or (tasks < _FEW and not any(job.parts for job in jobs)):
        yield ((job, _outcome(job, dataset, cache)) for job in jobs)
        return
    given = _Given((lambda: dataset) if _FORKS else load, cache)
    # Before the fork, or each worker makes columns of its own and holds on to the text of the files.
    dataset.complete()
    _return_memory()
    # Submitted before anything else starts a thread: a fork takes one thread along, and the locks of all.
    pool = _pool(workers, given)
    short = [job for job in jobs if not (job.parts or job.slow or job.long or job.finding)]
    # Of short ones alone all are begun: this process has other things to do before it looks after them.
    later = short if len(short) < len(jobs) else []
    try:
        running = _submitted(pool, [job for job in jobs if job not in later])
        yield _as_they_come(pool, running, deque(later), given, dataset)
    finally:
        pool.shutdown(cancel_futures=True)


def _submitted(pool: ProcessPoolExecutor, jobs: Sequence[Job]) -> dict[Future[Any], tuple[Job, str]]:
    """Begin with the parts of all jobs, and with those that have none: the job and the part by what will be there."""
    running: dict[Future[Any], tuple[Job, str]] = {}
    for job in jobs:
        for part in job.parts:
            running[pool.submit(_run_part, job, part)] = job, part
        if not job.parts:
            running[pool.submit(_run, job, {})] = job, ""
    return running


def _pool(workers: int, given: _Given) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("fork" if _FORKS else "spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(given,))


def _as_they_come(
    pool: ProcessPoolExecutor,
    running: dict[Future[Any], tuple[Job, str]],
    later: deque[Job],
    given: _Given,
    dataset: Dataset,
) -> Iterator[tuple[Job, OutcomeData]]:
    jobs = chain((job for job, _ in running.values()), later)
    left: dict[Job, dict[str, bytes]] = {job: {} for job in jobs}  # with what their parts have given
    with suppress(BrokenProcessPool):
        while running:
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                job, part = running.pop(done)
                found = done.result()
                if not part:
                    left.pop(job)
                    yield job, found
                    continue
                left[job][part] = found
                if len(left[job]) == len(job.parts):
                    running[pool.submit(_run, job, left[job])] = job, ""
            # Short ones fill what room there is. Begun before, they would stand in front of what gathers the parts of
            # a long one, and all would wait for that at the end.
            while later and len(running) < _AHEAD:
                running |= _submitted(pool, [later.popleft()])
    # Every process of a pool goes down with the one that was ended. Which that was shows one by one.
    for job in left:
        yield job, _alone(job, given, dataset)


def _alone(job: Job, given: _Given, dataset: Dataset) -> OutcomeData:
    """One analysis in a process of its own: when the system ends that, it is this analysis that failed."""
    with _pool(1, given) as pool:
        try:
            return pool.submit(_run, job, {}).result()
        except BrokenProcessPool:
            reason = "the system ended its process, as it does where memory is short; try again, with --jobs 1"
            return failed_outcome(job.name, job.path, reason, dataset)


def _begin(given: _Given) -> None:
    _begin_as_fork()
    _Worker.dataset, _Worker.cache = given.load(), given.cache


def _begin_as_fork() -> None:
    """What a worker was forked with stays as it is: no collection of cycles visits it, and so none copies its pages."""
    _end_quietly()
    gc.freeze()


def _end_quietly() -> None:
    """Interrupted at the terminal, or when the first process is gone, a worker ends without a word."""
    # Ctrl-C goes to all processes of the terminal; only the first one should speak of it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if _FORKS:
        ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL)


def _return_memory() -> None:
    """Give memory that holds nothing any more back to the system; glibc keeps what it took for many large lists."""
    if _FORKS:
        with suppress(AttributeError):  # another library than glibc
            ctypes.CDLL(None).malloc_trim(0)


def _run(job: Job, parts: Mapping[str, bytes]) -> OutcomeData:
    try:
        return _outcome(job, _Worker.dataset, _Worker.cache, parts)
    finally:
        _return_memory()


def _run_part(job: Job, part: str) -> bytes:
    try:
        return part_apart(job.path, part, _context(job, _Worker.dataset, _Worker.cache))
    finally:
        _return_memory()


def _outcome(
    job: Job, dataset: Dataset, cache: Cache | None, parts: Mapping[str, bytes] = MappingProxyType({})
) -> OutcomeData:
    return run_apart(job.name, job.path, _context(job, dataset, cache), parts)


def _context(job: Job, dataset: Dataset, cache: Cache | None) -> Context:
    return Context(dataset, job.seed, cache, job.postpones)


def begin_apart(task: Callable[[], object], processes: int) -> None:
    """Begin something of which only files are wanted in a process of its own; nothing where there is none to spare."""
    if _FORKS and (processes or os.cpu_count() or 1) > 1:
        multiprocessing.get_context("fork").Process(target=_apart, args=(task,), daemon=True).start()


def _apart(task: Callable[[], object]) -> None:
    _begin_as_fork()
    with suppress(Exception):  # who needs the files does it again, and says what is wrong
        task()


class Forks:
    """Making files of a report in processes that begin with all that this one holds; one after the other elsewhere."""

    def __init__(self, processes: int) -> None:
        self._processes = processes or os.cpu_count() or 1

    def over(self, function: Callable[[Task], Result], tasks: list[Task]) -> Iterator[Result]:
        """The results as they come; work begins at once, also while nobody waits for it."""
        # One task is given away, too: this process has its own to do meanwhile.
        if not _FORKS or self._processes <= 1 or not tasks:
            return map(function, tasks)
        _return_memory()
        # Handed over by the fork: an archive is large, and what is made from it cannot be pickled.
        _Worker.function, _Worker.tasks = function, tasks
        pool = ProcessPoolExecutor(
            min(self._processes, len(tasks)), mp_context=multiprocessing.get_context("fork"), initializer=_begin_as_fork
        )
        return self._results(pool, {pool.submit(_do, number): task for number, task in enumerate(tasks)}, function)

    @staticmethod
    def _results(
        pool: ProcessPoolExecutor, begun: dict[Future[Result], Task], function: Callable[[Task], Result]
    ) -> Iterator[Result]:
        # As they come and let go one by one: of very many works results that wait for the longest task, or are held
        # until the last has come, are hundreds of megabytes.
        try:
            for done in as_completed(begun):
                task = begun.pop(done)
                try:
                    yield done.result()
                except BrokenProcessPool:  # the system ended a process: what is left is done here
                    yield function(task)
        finally:
            pool.shutdown(cancel_futures=True)


def _do(number: int) -> Any:
    return _Worker.function(_Worker.tasks[number])
