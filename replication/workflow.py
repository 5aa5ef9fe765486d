"""What `python -m replication.run` does: data -> outcomes (cached by content) -> a report folder, swapped in whole."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from replication import paths
from replication.digests import digest_of, folder_digest
from replication.errors import UserError
from replication.provenance import Cache, check_target, code_digest, exclusive, replace_folder, stamp
from replication.stored import differences, files_digest, read_stored, stored_or_none

if TYPE_CHECKING:
    from replication.dataset import Dataset
    from replication.workers import Job, OutcomeData

__all__ = ["Request", "compare", "make_release", "make_report", "print_analyses", "withdraw_release"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asked for."""

    ids: tuple[str, ...]
    data: Path
    out: Path
    jobs: int = 0
    seed: int = 2024
    sampling: bool = True
    as_of: str = ""
    quiet: bool = False


def print_analyses(request: Request) -> None:
    """The analyses, one a line: id, kind and question."""
    from replication.analysis import analysis_files, load_analysis

    for name, path in analysis_files(paths.analyses_dir(), request.data).items():
        analysis = load_analysis(path)
        sys.stdout.write(f"{name:22} {analysis.kind:13} {analysis.question}\n")


def make_report(request: Request) -> None:
    """Run what was asked, write the report and print its verdicts."""
    from replication import terminal

    check_target(request.out)
    signature = _signature(request)
    stored = stored_or_none(request.out)
    if stored is not None and stored.whole and stored.run.get("signature") == signature:
        if not request.quiet:
            terminal.print_verdicts(stored.outcomes)
            terminal.say(f"Nothing has changed since this report was made: {request.out / 'index.html'}")
        return
    outcomes = _write(request, request.out, {"signature": signature})
    if not request.quiet:
        terminal.print_verdicts(outcomes)
        terminal.say(f"The report: {request.out / 'index.html'}")


def make_release(request: Request, version: str) -> None:
    """Freeze a report of everything as `reports/v<version>`, list it, and renew the working report beside it."""
    from replication import terminal
    from replication.report.releases import next_release, record_release

    if request.ids or request.as_of:
        raise UserError("a release holds every analysis of today's dataset: no ids and no --as-of with --release")
    reports = paths.reports_dir()
    with exclusive(reports):
        folder = next_release(reports, version)
        _write(request, folder, {"release": version})
        record_release(reports, version)
    make_report(request)
    if not request.quiet:
        terminal.say(f"Released: {folder / 'index.html'}")


def withdraw_release(version: str, reason: str) -> None:
    """Flag a released report as withdrawn; its folder stays as it is."""
    from replication.report import write_versions_page
    from replication.report.releases import withdraw

    reports = paths.reports_dir()
    with exclusive(reports):
        withdraw(reports, version, reason)
        write_versions_page(reports)


def _write(request: Request, target: Path, about: Mapping[str, object]) -> list[OutcomeData]:
    """Compute what is not cached and put a whole report in the place of `target`."""
    from replication.analysis import analysis_files
    from replication.report import build_report, write_versions_page

    dataset = _dataset(request)
    outcomes = list(_outcomes(request, dataset, Cache(paths.cache_dir())))
    run = {**about, **stamp(dataset.version, dataset.digest, request.seed)}
    done = [outcome["id"] for outcome in outcomes]
    left_out = [name for name in analysis_files(paths.analyses_dir(), request.data) if name not in done]
    run |= {"analyses": done, "left_out": left_out}
    reports = paths.reports_dir()
    with exclusive(target), replace_folder(target) as folder:
        for outcome in outcomes:
            _write_json(folder / "outcomes" / f"{outcome['id']}.json", outcome)
        build_report(folder, outcomes, dataset, run, reports)
        _write_json(folder / "run.json", {**run, "files": files_digest(folder)})
    if target.parent == reports:
        write_versions_page(reports)
    return outcomes


def _dataset(request: Request) -> Dataset:
    """The dataset of today, or as it stood at a version."""
    from replication.dataset import load_dataset

    dataset = load_dataset(request.data)
    return dataset.as_of(request.as_of) if request.as_of else dataset


def compare(request: Request) -> int:
    """Recompute without the cache and compare with the stored report: 0 when equal, 2 when not.

    What the stored report left out, or is left out now, is not compared; that is said.
    """
    from replication import terminal
    from replication.analysis import analysis_files

    stored = read_stored(request.out)
    if stored is None:
        raise UserError(f"no report in {request.out} to compare with; run without --check first")
    missing = frozenset() if request.ids else stored.left_out
    if missing and not request.quiet:
        terminal.say(f"Not compared, because the stored report left them out: {', '.join(sorted(missing))}")
    old = {outcome["id"]: outcome for outcome in stored.outcomes}
    found = [] if stored.whole else [f"{request.out}: files were changed, added or removed; run again to renew them"]
    for outcome in _outcomes(request, _dataset(request), None, missing):
        found += differences(old.pop(outcome["id"], None), outcome)
    if not request.ids:
        gone = old.keys() - analysis_files(paths.analyses_dir(), request.data).keys()
        found += [f"{name}: in the stored report, but no such analysis any more" for name in sorted(gone)]
    terminal.print_differences(found, request.quiet)
    return 2 if found else 0


def _signature(request: Request) -> str:
    """The digest of everything a report depends on, computed without loading any of it."""
    package = Path(__file__).parent
    folders = (request.data, paths.analyses_dir(), package / "report")
    digests = [folder_digest(folder) if folder.is_dir() else "" for folder in folders]
    versions = paths.reports_dir() / "versions.json"
    digests.append(versions.read_text(encoding="utf-8") if versions.exists() else "")
    return digest_of(
        code_digest(package), *digests, str(request.seed), str(request.sampling), request.as_of, *request.ids
    )


def _outcomes(
    request: Request, dataset: Dataset, cache: Cache | None, skip: Collection[str] = ()
) -> Iterator[OutcomeData]:
    """The outcomes asked for, in the order of the files; from the cache where nothing they depend on has changed."""
    from replication import terminal
    from replication.workers import run_jobs

    jobs = [job for job in _jobs(request, dataset) if job.name not in skip]
    found: dict[str, object] = {job.name: cache.get(job.name, job.key) if cache else None for job in jobs}
    todo = [job for job in reversed(jobs) if found[job.name] is None]
    todo.sort(key=lambda job: (not job.slow, not job.long))
    running = run_jobs(todo, dataset, partial(_dataset, request), request.jobs, cache)
    for job, outcome in terminal.progress(running, len(todo), request.quiet):
        found[job.name] = outcome
        if cache:
            cache.put(job.name, job.key, outcome)
    for job in jobs:
        result = found[job.name]
        assert isinstance(result, dict)
        yield result


def _jobs(request: Request, dataset: Dataset) -> list[Job]:
    """What to run: the analyses asked for, without those that sample when that was asked."""
    from replication import terminal
    from replication.analysis import analysis_files, choose, load_analysis
    from replication.workers import Job

    files = choose(analysis_files(paths.analyses_dir(), request.data), request.ids)
    code = code_digest(Path(__file__).parent)
    jobs = []
    for name, path in files.items():
        key = digest_of(dataset.digest, code, path.read_bytes(), str(request.seed))
        analysis = load_analysis(path)
        jobs.append(Job(name, path, key, request.seed, analysis.slow, analysis.quick is not None))
    left_out = [job.name for job in jobs if job.slow and not request.sampling]
    if left_out and not request.quiet:
        terminal.say(f"Left out, because they sample: {', '.join(left_out)}")
    return [job for job in jobs if request.sampling or not job.slow]


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
