"""What `python -m replication.run` does: data -> outcomes (cached by content) -> a report folder, swapped in whole."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from replication import paths
from replication.digests import digest_of, folder_digest
from replication.errors import UserError
from replication.provenance import Cache, code_digest, stamp
from replication.results import Results
from replication.stored import differences, files_digest, read_stored, signature_of, stored_or_none
from replication.writing import check_target, exclusive, finish_writing, replace_folder

if TYPE_CHECKING:
    from replication.dataset import Dataset
    from replication.report import Workshop
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
    fresh: bool = False
    """Whether nothing is taken from the cache: a release is computed as a whole."""
    keep: bool = False
    """Whether the slow results under version control are written anew."""


def print_analyses(request: Request) -> None:
    """The analyses, one per line: id, kind and question; of a file that cannot be loaded, why not."""
    from replication.analysis import analysis_files, load_analysis
    from replication.report.words import worded

    for name, path in analysis_files(paths.analyses_dir(), request.data).items():
        try:
            analysis = load_analysis(path)
            sys.stdout.write(f"{name:22} {analysis.kind:13} {worded(analysis.question)}\n")
        except UserError as error:
            sys.stdout.write(f"{name:22} {'failed':13} {error}\n")


def make_report(request: Request) -> int:
    """Run what was asked, write the report and print its verdicts: 0, or 1 when an analysis failed."""
    from replication import terminal

    check_target(request.out)
    finish_writing(paths.reports_dir())
    signature = _signature(request)
    # Its outcomes are read for their verdicts, but of a report that is made anew nobody wants them.
    stored = stored_or_none(request.out) if signature_of(request.out) == signature else None
    # `whole` as well: an edited report with the right signature must not pass for a computed one.
    if stored is not None and stored.whole and stored.complete:
        if not request.quiet:
            terminal.print_verdicts(stored.outcomes)
            terminal.say(f"Nothing has changed since this report was made: {request.out / 'index.html'}")
        return 0
    # Not before there is something to write: loading what writes takes longer than seeing that nothing has changed.
    from replication.analysis.failures import postponed_of
    from replication.report.releases import write_list

    content = _computed(request)
    with _lock_of(request.out):
        failed = _write(request, content, request.out, {"signature": signature})
        if request.out.parent == paths.reports_dir():
            write_list(request.out.parent)
    if not request.quiet:
        terminal.print_verdicts(content.outcomes)
        then = "a run with sampling computes it (leave out --no-sampling)"
        terminal.print_postponed(postponed_of(content.outcomes), "Not computed in this run, as its rows are new", then)
        terminal.say(f"The report: {request.out / 'index.html'}")
    return terminal.print_failures(failed)


def make_release(request: Request, version: str) -> int:
    """Freeze a report of everything as `reports/v<version>`, list it, and renew the working report beside it.

    Everything is computed anew, written, read back and found whole before it is listed. A release that was interrupted
    is taken up by the same command: its folder is used when it is whole and of the same data and code.

    Raises
    ------
    UserError
        when the version cannot be released, something is left out, or an analysis failed; nothing is listed then.
    """
    from replication import terminal
    from replication.analysis.failures import failures_of, postponed_of
    from replication.report.releases import next_release, record_release

    if request.ids or request.as_of or not request.sampling:
        raise UserError(
            "a release holds every analysis of today's dataset, also those that sample: leave out ids, --as-of and "
            "--no-sampling with --release"
        )
    reports = paths.reports_dir()
    finish_writing(reports)
    folder = next_release(reports, version)
    check_target(folder)
    reports.mkdir(parents=True, exist_ok=True)
    signature = _signature(request)
    if not _is_interrupted(folder, version, signature):
        content = _computed(replace(request, fresh=True))
        _refuse_failures(failures_of(content.outcomes))
        _refuse_postponed(postponed_of(content.outcomes))
        with exclusive(reports):
            next_release(reports, version)  # another command may have released it meanwhile
            about = {"release": version, "signature": signature}
            _write(request, content, folder, about, whole=True)
    with exclusive(reports):
        next_release(reports, version)
        if not _is_interrupted(folder, version, signature):
            raise UserError(f"{folder} is not as it was written; nothing is released: look at the disk, then run again")
        record_release(reports, version)
    code = make_report(request)
    if not request.quiet:
        terminal.say(f"Released: {folder / 'index.html'}")
    return code


def _refuse_failures(failed: Mapping[str, str]) -> None:
    """A release holds everything; what is missing one part is not released."""
    from replication import terminal

    if terminal.print_failures(failed):
        raise UserError("nothing is released while something fails; mend it and run this again")


def _refuse_postponed(postponed: Mapping[str, Sequence[str]]) -> None:
    """A release computes every slow result, whoever left one out."""
    from replication import terminal

    if postponed:
        named = terminal.named_postponed(postponed)
        raise UserError(f"nothing is released while results are postponed: {named}; compute them, then run again")


def withdraw_release(version: str, reason: str) -> None:
    """Flag a released report as withdrawn; its folder stays as it is."""
    from replication.report.releases import withdraw

    reports = paths.reports_dir()
    with exclusive(reports):
        withdraw(reports, version, reason)


def _is_interrupted(folder: Path, version: str, signature: str) -> bool:
    """Whether a folder is whole and is what this release, begun before, has written.

    Raises
    ------
    UserError
        when there is a folder that is something else: it may be a frozen report that was lost from the list.
    """
    if not folder.exists():
        return False
    stored = stored_or_none(folder)
    ours = stored is not None and stored.run.get("release") == version
    if ours and stored is not None and stored.whole and stored.complete and stored.run.get("signature") == signature:
        return True
    raise UserError(
        f"{folder} is there but not listed, and not what would be released now. Was it released, restore versions.json "
        f"from version control; was a release interrupted before data or code changed, delete the folder and run again"
    )


def _lock_of(target: Path) -> AbstractContextManager[None]:
    """The lock for writing a report: of all reports where it is one of them, else its own, beside it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.parent == paths.reports_dir():
        return exclusive(target.parent)
    return exclusive(target.parent, f".{target.name}.lock")


@dataclass(frozen=True, slots=True, eq=False)
class _Content:
    """What a report shows: the dataset and every outcome; and what its pages are made with."""

    dataset: Dataset
    outcomes: list[OutcomeData]
    workshop: Workshop


def _computed(request: Request) -> _Content:
    """The dataset, read once so that what is shown is what was computed from, and the outcomes asked for."""
    from replication.workers import begin_apart

    if not paths.cache_dir().is_dir():
        # On a fresh checkout: it takes a third of a second, and while data are read one core has nothing to do.
        begin_apart(_compile_templates, request.jobs)
    dataset = _dataset(request)
    with _outcomes(request, dataset, _cache(request)) as outcomes:
        # Here, as it takes a while to load, and others compute meanwhile.
        from replication.report import Workshop

        workshop = Workshop.of(dataset)
        return _Content(dataset, list(outcomes), workshop)


def _compile_templates() -> None:
    from replication.report.menu import Menu
    from replication.report.site import with_templates

    with_templates(Menu(()))


def _cache(request: Request) -> Cache:
    """Where finished results lie: in the cache, and slow ones under version control, which a release renews."""
    renew = request.keep or request.fresh
    return Cache(paths.cache_dir(), fresh=request.fresh, kept=paths.kept_dir(), renew=renew)


def _write(
    request: Request, content: _Content, target: Path, about: Mapping[str, object], *, whole: bool = False
) -> dict[str, str]:
    """Put a report in the place of `target`, whose lock is held: what failed, and why; a `whole` one lacks nothing."""
    from replication.analysis import analysis_files
    from replication.analysis.failures import failures_of
    from replication.report import build_report
    from replication.report.pdf import typesetter_is_there
    from replication.report.sbom import bill_of_materials, needed_packages
    from replication.workers import Forks

    dataset, outcomes = content.dataset, content.outcomes
    run = {**about, **stamp(dataset.version, dataset.digest, request.seed)}
    done = [outcome["id"] for outcome in outcomes]
    # A reader of a partial report must see that it is partial, and a comparison must not miss what is absent.
    left_out = [name for name in analysis_files(paths.analyses_dir(), request.data) if name not in done]
    run |= {"analyses": done, "left_out": left_out}
    with replace_folder(target) as folder:
        # A release is made as a whole; a working report takes over what nothing has changed of.
        before = None if whole or request.fresh else target
        reports, workshop, spread = paths.reports_dir(), content.workshop, Forks(request.jobs)
        no_pdf = build_report(folder, outcomes, dataset, run, reports, workshop=workshop, before=before, spread=spread)
        failed = dict(failures_of(outcomes))
        if no_pdf and (whole or typesetter_is_there()):  # who has not installed it did without the PDF
            failed["report.pdf"] = no_pdf
        if whole:
            _refuse_failures(failed)
            packages = needed_packages(paths.project_root())
            _write_json(folder / "sbom.cdx.json", bill_of_materials(packages, str(about["release"])))
        _write_json(folder / "run.json", {**run, "failed": failed, "files": files_digest(folder)})
    return failed


def _dataset(request: Request) -> Dataset:
    """The dataset of today, or as it stood at a version."""
    from replication.dataset import load_dataset
    from replication.report.menu import make_menu, unlisted_findings

    dataset = load_dataset(request.data)
    # The pages would refuse it at the end, after everything is computed.
    for problem in unlisted_findings(dataset.statements, make_menu(paths.analyses_dir(), article=True)):
        raise UserError(str(problem))
    return dataset.as_of(request.as_of) if request.as_of else dataset


def compare(request: Request) -> int:
    """Recompute without the cache and compare with the stored report: 0 when equal, 2 when not, 1 when one failed.

    What the stored report left out, or is left out now, is not compared; nor is a slow result that it postponed,
    while all else of that outcome is. That is said.
    """
    from replication import terminal
    from replication.analysis import analysis_files
    from replication.analysis.failures import failures_of, postponed_of

    stored = read_stored(request.out)
    if stored is None:
        raise UserError(f"no report in {request.out} to compare with; run without --check first")
    missing = frozenset() if request.ids else stored.left_out
    if missing and not request.quiet:
        terminal.say(f"Not compared, because the stored report left them out: {', '.join(sorted(missing))}")
    postponed = postponed_of(stored.outcomes)
    old = {outcome["id"]: outcome for outcome in stored.outcomes}
    found = [] if stored.whole else [f"{request.out}: files were changed, added or removed; run again to renew them"]
    with _outcomes(request, _dataset(request), None, missing, postponed) as outcomes:
        computed = list(outcomes)
    for outcome in computed:
        before = old.pop(outcome["id"], None)
        found += [] if outcome.get("failed") else differences(before, outcome)
    if not request.ids:
        gone = old.keys() - analysis_files(paths.analyses_dir(), request.data).keys()
        found += [f"{name}: in the stored report, but no such analysis any more" for name in sorted(gone)]
    if not request.quiet:
        skipped = {outcome["id"]: postponed[outcome["id"]] for outcome in computed if outcome["id"] in postponed}
        then = "make the report with sampling, then compare again"
        terminal.print_postponed(skipped, "Not compared, because the stored report has not computed it", then)
    failed = terminal.print_failures(failures_of(computed))
    if found or not failed:
        terminal.print_differences(found, request.quiet)
    return failed or (2 if found else 0)


def _signature(request: Request) -> str:
    """The digest of everything a report depends on, computed without loading any of it."""
    package = Path(__file__).parent
    folders = (request.data, paths.analyses_dir(), package / "report")
    # What a page depends on is read as bytes: loading it all takes longer than the answer "nothing has changed".
    digests = [folder_digest(folder) if folder.is_dir() else "" for folder in folders]
    versions = paths.reports_dir() / "versions.json"
    digests.append(versions.read_text(encoding="utf-8") if versions.exists() else "")
    return digest_of(
        code_digest(package), *digests, str(request.seed), str(request.sampling), request.as_of, *request.ids
    )


@contextmanager
def _outcomes(
    request: Request,
    dataset: Dataset,
    cache: Cache | None,
    skip: Collection[str] = (),
    postponed: Mapping[str, Sequence[str]] | None = None,
) -> Iterator[Iterator[OutcomeData]]:
    """Begin to compute what is asked for; the outcomes in the order of the files, once all are there.

    What nothing has changed of is from the cache. `postponed` names by analysis the slow results that are not computed;
    by default every one that nobody has kept, in a run that does not sample.
    """
    from replication import terminal
    from replication.workers import run_jobs

    results = Results(dataset, request.seed, cache)
    jobs = [job for job in _jobs(request, results) if job.name not in skip]
    if postponed is not None:
        jobs = [replace(job, postpones=tuple(postponed.get(job.name, ()))) for job in jobs]
    found = {job.name: results.outcome(job.name) for job in jobs}
    todo = [job for job in reversed(jobs) if found[job.name] is None]
    # Longest first: a long job that begins last keeps one core busy and the others idle.
    todo.sort(key=lambda job: (not job.slow, not job.long, not job.finding))
    with run_jobs(todo, dataset, partial(_dataset, request), request.jobs, cache) as running:
        results.make_keys()
        yield _awaited(found, terminal.progress(running, len(todo), request.quiet), results)


def _awaited(
    found: dict[str, OutcomeData | None], running: Iterator[tuple[Job, OutcomeData]], results: Results
) -> Iterator[OutcomeData]:
    """The outcomes found and, in their places, those of the running jobs, which are kept as they come."""
    for job, outcome in running:
        results.keep(job.name, outcome)
        found[job.name] = outcome
    yield from filter(None, found.values())


def _jobs(request: Request, results: Results) -> list[Job]:
    """What to run: the analyses asked for, without those that sample when that was asked."""
    from replication import terminal
    from replication.analysis import analysis_files, choose
    from replication.analysis.outcome import EVERY_SLOW_RESULT
    from replication.workers import Job

    # Who samples nothing wants an answer now, and an average over models of bias takes half a minute.
    postpones = () if request.sampling else (EVERY_SLOW_RESULT,)
    jobs = []
    for name, path in choose(analysis_files(paths.analyses_dir(), request.data), request.ids).items():
        try:
            known = results.declared(name, path)
        except UserError:  # running it says why, on its page
            jobs.append(Job(name, path, request.seed, slow=False))
        else:
            told = known.slow, known.long, known.finding, postpones, known.parts
            jobs.append(Job(name, path, request.seed, *told))
    left_out = [job.name for job in jobs if job.slow and not request.sampling]
    if left_out and not request.quiet:
        terminal.say(f"Left out, because they sample: {', '.join(left_out)}")
    return [job for job in jobs if request.sampling or not job.slow]


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write JSON, a field a line for who opens it."""
    text = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
