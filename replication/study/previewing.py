"""What a work changes: every affected finding and claim with it and without it."""

from __future__ import annotations

import html
import math
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import ClassVar

import pandas as pd

from replication import paths
from replication.analysis import Analysis, Context, Findings, Outcome, analysis_files, load_analysis, run_analysis
from replication.analysis.difference import Difference, EstimateChange, RowChange, compare, row_changes
from replication.analysis.failures import reason_of
from replication.analysis.outcome import Estimate, Figure
from replication.dataset import Dataset, Reads, check_dataset, format_problems
from replication.errors import DataError, UserError
from replication.evidence.finding import QuestionPlan, bodies_of, grade_of_question, quick_finding
from replication.study.checking import work_folder
from replication.study.rendering import figure_parts, page, table, worded

__all__ = ["Preview", "named_apart", "preview_html", "preview_lines", "preview_work", "run_quickly", "shown_estimate"]


_WHOLE = "no finding asks for this pair of constructs"
_FORKS = sys.platform == "linux"


@dataclass(frozen=True, slots=True)
class Preview:
    """What changes: rows, findings, claims, certainty; rows no finding uses, with the reason; what was left out.

    `certainties` are (question, without the work, with it). `failed` are the analyses that could not
    be run, with the reason: what they would show is not known.
    """

    work: str
    rows: tuple[RowChange, ...]
    differences: tuple[Difference, ...]
    certainties: tuple[tuple[str, str, str], ...]
    unused: Mapping[str, str]
    left_out: tuple[str, ...]
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Task:
    """One analysis on one of the two datasets: its place among the analyses, and the questions it is narrowed to."""

    analysis: Analysis
    plans: tuple[QuestionPlan, ...]


def preview_work(
    root: Path, work: str, say: Callable[[str], None] = lambda _line: None, *, whole: bool = False
) -> Preview:
    """Run what the work can touch on the dataset with it and without it: questions its rows answer, claims it has.

    `whole` runs the findings too that are made of several others (mediation, multiverse), which takes a minute.

    Raises
    ------
    UserError
        when there is no such work, or the dataset has errors; nothing is computed then.
    """
    work_folder(root, work)
    checked = check_dataset(root)
    if checked.dataset is None:
        # The work's own problems first: those of other works are not what its author can mend.
        own = [p for p in checked.errors if p.file.startswith(f"{work}/")] or list(checked.errors)
        raise DataError(f"mend this first:\n{format_problems(own)}", checked.errors)
    after = checked.dataset
    # Both states come from one reading of the files, so nothing else can differ between them.
    before = after.without(work)
    changes = row_changes(before, after)
    failed: dict[str, str] = {}
    tasks, left_out = _tasks(root, after, work, failed, whole=whole)
    for task in tasks:
        say(worded(task.analysis.title))
    results = _both(tasks, before, after)
    differences, unused = [], {row.row: _WHOLE for row in changes}
    certainties: list[tuple[str, str, str]] = []
    for task, (old, new) in zip(tasks, results, strict=True):
        if old.failed or new.failed:
            failed[task.analysis.id] = new.failed or old.failed
            continue
        _note_use(unused, new.outcome)
        difference = compare(old.outcome, new.outcome, changes)
        differences += [difference] if difference else []
        certainties += [(label, old.grades[label], grade) for label, grade in new.grades.items()]
    named = tuple(_with_names(difference, after) for difference in differences)
    return Preview(work, changes, named, tuple(certainties), unused, left_out, failed)


def _tasks(
    root: Path, dataset: Dataset, work: str, failed: dict[str, str], *, whole: bool
) -> tuple[list[_Task], tuple[str, ...]]:
    """What to run, narrowed to the questions the work's rows answer, and the findings left out."""
    effects = dataset.effects[dataset.effects["work"] == work]
    pairs = {frozenset(pair) for pair in zip(effects["var_a"], effects["var_b"], strict=True)}
    tasks, left_out = [], []
    for analysis in _affected(root, work, failed):
        plans = tuple(one for one in analysis.plans if isinstance(one, QuestionPlan) and _touched(one, pairs))
        # None of its questions has a new row: it would come out the same twice.
        if analysis.plans and not plans and not analysis.claims:
            continue
        if (analysis.slow and analysis.quick is None) or (
            analysis.kind == "finding" and not analysis.plans and not whole
        ):
            left_out.append(analysis.id)
        else:
            tasks.append(_Task(analysis, plans))
    return tasks, tuple(left_out)


def _touched(plan: QuestionPlan, pairs: set[frozenset[str]]) -> bool:
    question = plan.question
    return any(frozenset((relationship, question.outcome)) in pairs for relationship in question.relationships)


@dataclass(frozen=True, slots=True)
class _Result:
    """An outcome, None where the data cannot carry it, and the certainty of its main questions by their label.

    `failed` is why the analysis could not be run; one that fails hides no other.
    """

    outcome: Outcome | None
    grades: Mapping[str, str]
    failed: str = ""


def _both(tasks: Sequence[_Task], before: Dataset, after: Dataset) -> list[tuple[_Result, _Result]]:
    """Each task on both datasets, side by side on the machine's cores where a process can be forked cheaply."""
    # Both states of a task stand side by side, which is what the slices at the end take apart.
    jobs = [(task, dataset) for task in tasks for dataset in (before, after)]
    if not _FORKS or len(jobs) < 2 or (os.cpu_count() or 1) < 2:
        results = [_run_task(*job) for job in jobs]
    else:
        with _Shared(jobs) as shared:
            results = shared.results()
    return list(zip(results[::2], results[1::2], strict=True))


class _Shared:
    """Jobs run by forked processes, which inherit both datasets and send only the outcomes back."""

    jobs: ClassVar[Sequence[tuple[_Task, Dataset]]] = ()

    def __init__(self, jobs: Sequence[tuple[_Task, Dataset]]) -> None:
        _Shared.jobs = jobs
        # Forked children see the datasets as they are; any other start would copy them to every process.
        fork = multiprocessing.get_context("fork")
        self._pool = ProcessPoolExecutor(min(os.cpu_count() or 1, len(jobs)), mp_context=fork)

    def __enter__(self) -> _Shared:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        _Shared.jobs = ()

    def results(self) -> list[_Result]:
        """The result of each job, in order."""
        return list(self._pool.map(_run_job, range(len(self.jobs))))


def _run_job(place: int) -> _Result:
    return _run_task(*_Shared.jobs[place])


def _run_task(task: _Task, dataset: Dataset) -> _Result:
    try:
        return _computed(task, dataset)
    # One analysis that fails must not cost the author the preview of all others.
    except Exception as error:
        return _Result(None, {}, reason_of(error))


def _computed(task: _Task, dataset: Dataset) -> _Result:
    if not task.plans:
        return _Result(run_quickly(task.analysis, dataset), {})
    # Estimates and certainty rest on the same bodies: a dozen posteriors, estimated once.
    bodies = cache(partial(bodies_of, dataset))
    narrowed = replace(task.analysis, quick=lambda context: quick_finding(context, task.plans, bodies))
    main = [one.question for one in task.plans if one.main]
    grades = {question.label: grade_of_question(dataset, question, bodies) for question in main}
    return _Result(run_quickly(narrowed, dataset), grades)


def _with_names(difference: Difference, dataset: Dataset) -> Difference:
    """A difference whose figures name their rows apart: by measures and informants where samples have several."""
    return replace(difference, figures=tuple(named_apart(figure, dataset) for figure in difference.figures))


def named_apart(figure: Figure, dataset: Dataset) -> Figure:
    """A figure of rows in which no two have one name: measures and times, or the row's id, tell them apart."""
    rows, labels = figure.columns.get("row"), figure.columns.get("label")
    if rows is None or labels is None or len(set(labels)) == len(labels):
        return figure
    often = Counter(labels)
    effects = dataset.effects.set_index("effect_id")
    apart = [
        f"{label}: {_what(effects, str(row))}" if often[label] > 1 and row in effects.index else label
        for label, row in zip(labels, rows, strict=True)
    ]
    # Two measures may have one name in two waves: only then is the id shown, which says least to a reader.
    still = Counter(apart)
    names = [f"{label} [{row}]" if still[label] > 1 else label for label, row in zip(apart, rows, strict=True)]
    return replace(figure, columns={**figure.columns, "label": names})


def _what(effects: pd.DataFrame, row: str) -> str:
    cells = effects.loc[row]
    sides = [cells[f"measure_{side}"] or cells[f"var_{side}"] for side in "ab"]
    times = " ".join(str(cells[name]) for name in ("time_a", "time_b") if cells[name])
    return f"{sides[0]} – {sides[1]}" + (f", {times}" if times else "")


def run_quickly(analysis: Analysis, dataset: Dataset) -> Outcome | None:
    """The outcome by the analysis' quick way where it has one; None where these data cannot carry it."""
    try:
        # On the whole dataset: nothing is kept here, so there is no need to find out what a result would stand on.
        quick = replace(analysis, run=analysis.quick or analysis.run, reads=Reads())
        return run_analysis(quick, Context(dataset))
    except UserError:
        return None


def _affected(root: Path, work: str, failed: dict[str, str]) -> Iterator[Analysis]:
    """Findings, reproductions that answer the work's claims or name it, and its claims where no analysis does."""
    answered = False
    for name, path in analysis_files(paths.analyses_dir(), root).items():
        # Most reproductions are of other works; loading one loads the models it fits, which takes longer.
        if path.parent.name == "reproductions" and f'"{work}"' not in path.read_text(encoding="utf-8"):
            continue
        try:
            analysis = load_analysis(path)
        except UserError as error:
            failed[name] = str(error)
            continue
        answered |= work in analysis.claims
        if analysis.kind == "finding" or work in analysis.claims or f'"{work}"' in path.read_text(encoding="utf-8"):
            yield analysis
    # Claims are shown as waiting even before anybody writes an analysis for them.
    if not answered:
        title = f"Claims of {work}, which no analysis answers yet"
        yield Analysis(id=work, title=title, question="", run=lambda _context: Findings(), claims=(work,))


def _note_use(unused: dict[str, str], outcome: Outcome | None) -> None:
    """Strike out the rows an outcome uses; keep the reason it gives for the others."""
    if outcome is None:
        return
    for exclusion in outcome.exclusions:
        if exclusion.row in unused:
            unused[exclusion.row] = worded(exclusion.reason)
    # A row that one question leaves out and another pools is in use.
    for estimate in outcome.estimates:
        for row in estimate.rows:
            unused.pop(row, None)


def preview_lines(preview: Preview) -> Iterator[str]:
    """The preview for a terminal."""
    yield f"{preview.work} brings {len(preview.rows)} effect rows."
    if not preview.differences:
        yield "No estimate and no verdict changes."
    for difference in preview.differences:
        yield f"\n{worded(difference.title)}"
        for change in difference.estimates:
            yield f"  {worded(change.label)}"
            yield f"    without: {shown_estimate(change.before)}"
            yield f"    with:    {shown_estimate(change.after)}{_moved(change)}"
        for verdict in difference.verdicts:
            change_of = f"{verdict.before or '(not there)'} → {verdict.after or '(gone)'}"
            yield f"  {verdict.claim}: {change_of} {verdict.quantity}"
    if preview.certainties:
        yield "\nCertainty"
        yield from (f"  {worded(label)}: {old} → {new}" for label, old, new in preview.certainties)
    values = {row.row: row.after for row in preview.rows}
    if preview.unused:
        yield "\nRows that no finding uses:"
        yield from (f"  {row}: {reason} ({values.get(row) or '–'})" for row, reason in preview.unused.items())
    for name, reason in preview.failed.items():
        yield f"{name} failed, so what it would show is not known: {reason}"
    if preview.left_out:
        left_out = ", ".join(preview.left_out)
        yield f"\nNot run here because they take longer: {left_out} (--all, or make report, runs them)"


def preview_html(preview: Preview) -> str:
    """The preview as a page, with forest plots in which the new rows are marked."""
    parts = [f"<p>{html.escape(preview.work)} brings {len(preview.rows)} effect rows.</p>"]
    if not preview.differences:
        parts.append("<p>No estimate and no verdict changes.</p>")
    for difference in preview.differences:
        parts.append(f"<h2>{html.escape(worded(difference.title))}</h2>")
        rows = [
            (worded(c.label), shown_estimate(c.before), shown_estimate(c.after), _number(c.moved))
            for c in difference.estimates
        ]
        parts.append(table(("Estimate", "without", "with", "moved by"), rows))
        if difference.verdicts:
            verdicts = [(v.claim, v.quantity, v.before, v.after, v.reason) for v in difference.verdicts]
            parts.append(table(("Claim", "Quantity", "without", "with", "Reason"), verdicts))
        parts += figure_parts(difference.figures, 3)
    if preview.certainties:
        parts += [
            "<h2>Certainty</h2>",
            table(
                ("Question", "without", "with"), [(worded(label), *grades) for label, *grades in preview.certainties]
            ),
        ]
    if preview.unused:
        values = {row.row: row.after for row in preview.rows}
        unused = [(row, values.get(row) or "–", reason) for row, reason in preview.unused.items()]
        parts += ["<h2>Rows that no finding uses</h2>", table(("Row", "Value", "Reason"), unused)]
    if preview.left_out:
        parts.append(f"<p>Not run here because they take longer: {html.escape(', '.join(preview.left_out))}.</p>")
    if preview.failed:
        parts += ["<h2>Analyses that failed</h2>", table(("Analysis", "Reason"), list(preview.failed.items()))]
    parts += [
        "<h2>Rows</h2>",
        table(("Row", "", "Value"), [(r.row, r.change, r.after or r.before) for r in preview.rows]),
    ]
    return page(f"What {preview.work} changes", parts, figures=True)


def shown_estimate(estimate: Estimate | None) -> str:
    """Value, interval, prediction for a further study, tau2 and the number of effects in a line."""
    if estimate is None:
        return "not computed"
    if not math.isfinite(estimate.value):
        return worded(estimate.notes[0]) if estimate.notes else "not defined"
    ends = f" [{_number(estimate.low)}, {_number(estimate.high)}]" if math.isfinite(estimate.low) else ""
    if math.isfinite(estimate.prediction_low):
        ends += f", next study [{_number(estimate.prediction_low)}, {_number(estimate.prediction_high)}]"
    tau2 = f", tau2 {_number(estimate.tau2, 4)}" if math.isfinite(estimate.tau2) else ""
    samples = f", {estimate.k} effects in {estimate.samples} samples" if estimate.k else ""
    return f"{estimate.metric} {_number(estimate.value)}{ends}{tau2}{samples}"


def _moved(change: EstimateChange) -> str:
    return f" (moved by {change.moved:+.3f})" if math.isfinite(change.moved) else ""


def _number(value: float, decimals: int = 3) -> str:
    return f"{value:.{decimals}f}" if math.isfinite(value) else "–"
