"""What a work changes: every affected finding and claim with it and without it."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from replication import paths
from replication.analysis import Analysis, Context, Findings, Outcome, analysis_files, load_analysis, run_analysis
from replication.analysis.difference import Difference, EstimateChange, RowChange, compare, row_changes
from replication.analysis.failures import reason_of
from replication.analysis.outcome import Estimate
from replication.dataset import Dataset, check_dataset, format_problems
from replication.errors import DataError, UserError
from replication.study.checking import work_folder
from replication.study.rendering import figure_svg, page, table

__all__ = ["Preview", "preview_html", "preview_lines", "preview_work", "run_quickly", "shown_estimate"]


@dataclass(frozen=True, slots=True)
class Preview:
    """What changes: rows, findings and claims, rows that no finding uses (with the reason), analyses left out.

    `failed` are the analyses that could not be run, with the reason: what they would show is not known.
    """

    work: str
    rows: tuple[RowChange, ...]
    differences: tuple[Difference, ...]
    unused: Mapping[str, str]
    left_out: tuple[str, ...]
    failed: Mapping[str, str] = field(default_factory=dict)


def preview_work(root: Path, work: str, say: Callable[[str], None] = lambda _line: None) -> Preview:
    """Run what the work can affect on the dataset with it and without it.

    Raises
    ------
    UserError
        when there is no such work, or the dataset has errors; nothing is computed then.
    """
    work_folder(root, work)
    checked = check_dataset(root)
    if checked.dataset is None:
        own = [p for p in checked.errors if p.file.startswith(f"{work}/")] or list(checked.errors)
        raise DataError(f"mend this first:\n{format_problems(own)}", checked.errors)
    after = checked.dataset
    before = after.without(work)
    changes = row_changes(before, after)
    differences, unused, left_out = [], {row.row: "no finding asks for this pair of constructs" for row in changes}, []
    failed: dict[str, str] = {}
    for analysis in _affected(root, work, failed):
        if analysis.slow and analysis.quick is None:
            left_out.append(analysis.id)
            continue
        say(analysis.title)
        try:
            new, old = run_quickly(analysis, after), run_quickly(analysis, before)
        except Exception as error:  # one analysis that fails hides no other
            failed[analysis.id] = reason_of(error)
            continue
        _note_use(unused, new)
        difference = compare(old, new, changes)
        if difference:
            differences.append(difference)
    return Preview(work, changes, tuple(differences), unused, tuple(left_out), failed)


def run_quickly(analysis: Analysis, dataset: Dataset) -> Outcome | None:
    """The outcome by the analysis' quick way where it has one; None where these data cannot carry it."""
    try:
        return run_analysis(replace(analysis, run=analysis.quick or analysis.run), Context(dataset))
    except UserError:
        return None


def _affected(root: Path, work: str, failed: dict[str, str]) -> Iterator[Analysis]:
    """Findings, reproductions that answer the work's claims or name it, and its claims where no analysis does."""
    answered = False
    for name, path in analysis_files(paths.analyses_dir(), root).items():
        try:
            analysis = load_analysis(path)
        except UserError as error:
            failed[name] = str(error)
            continue
        answered |= work in analysis.claims
        if analysis.kind == "finding" or work in analysis.claims or f'"{work}"' in path.read_text(encoding="utf-8"):
            yield analysis
    if not answered:
        title = f"Claims of {work}, which no analysis answers yet"
        yield Analysis(id=work, title=title, question="", run=lambda _context: Findings(), claims=(work,))


def _note_use(unused: dict[str, str], outcome: Outcome | None) -> None:
    """Strike out the rows an outcome uses; keep the reason it gives for the others."""
    if outcome is None:
        return
    for exclusion in outcome.exclusions:
        if exclusion.row in unused:
            unused[exclusion.row] = exclusion.reason
    for estimate in outcome.estimates:
        for row in estimate.rows:
            unused.pop(row, None)


def preview_lines(preview: Preview) -> Iterator[str]:
    """The preview for a terminal."""
    yield f"{preview.work} brings {len(preview.rows)} effect rows."
    if not preview.differences:
        yield "No estimate and no verdict changes."
    for difference in preview.differences:
        yield f"\n{difference.title}"
        for change in difference.estimates:
            yield f"  {change.label}"
            yield f"    without: {shown_estimate(change.before)}"
            yield f"    with:    {shown_estimate(change.after)}{_moved(change)}"
        for verdict in difference.verdicts:
            change_of = f"{verdict.before or '(not there)'} → {verdict.after or '(gone)'}"
            yield f"  {verdict.claim}: {change_of} {verdict.quantity}"
    if preview.unused:
        yield "\nRows that no finding uses:"
        yield from (f"  {row}: {reason}" for row, reason in preview.unused.items())
    for name, reason in preview.failed.items():
        yield f"{name} failed, so what it would show is not known: {reason}"
    if preview.left_out:
        yield f"Not run here because they take minutes: {', '.join(preview.left_out)} (make report runs them)"


def preview_html(preview: Preview) -> str:
    """The preview as a page, with forest plots in which the new rows are marked."""
    parts = [f"<p>{html.escape(preview.work)} brings {len(preview.rows)} effect rows.</p>"]
    if not preview.differences:
        parts.append("<p>No estimate and no verdict changes.</p>")
    for difference in preview.differences:
        parts.append(f"<h2>{html.escape(difference.title)}</h2>")
        rows = [
            (c.label, shown_estimate(c.before), shown_estimate(c.after), _number(c.moved)) for c in difference.estimates
        ]
        parts.append(table(("Estimate", "without", "with", "moved by"), rows))
        if difference.verdicts:
            verdicts = [(v.claim, v.quantity, v.before, v.after, v.reason) for v in difference.verdicts]
            parts.append(table(("Claim", "Quantity", "without", "with", "Reason"), verdicts))
        parts += [f"<h3>{html.escape(f.title)}</h3>\n{figure_svg(f)}" for f in difference.figures]
    if preview.unused:
        parts += ["<h2>Rows that no finding uses</h2>", table(("Row", "Reason"), list(preview.unused.items()))]
    if preview.failed:
        parts += ["<h2>Analyses that failed</h2>", table(("Analysis", "Reason"), list(preview.failed.items()))]
    parts += [
        "<h2>Rows</h2>",
        table(("Row", "", "Value"), [(r.row, r.change, r.after or r.before) for r in preview.rows]),
    ]
    return page(f"What {preview.work} changes", parts, figures=True)


def shown_estimate(estimate: Estimate | None) -> str:
    """Value, interval, tau2 and the number of effects in a line."""
    if estimate is None:
        return "not computed"
    if not math.isfinite(estimate.value):
        return estimate.notes[0] if estimate.notes else "not defined"
    ends = f" [{_number(estimate.low)}, {_number(estimate.high)}]" if math.isfinite(estimate.low) else ""
    tau2 = f", tau2 {_number(estimate.tau2, 4)}" if math.isfinite(estimate.tau2) else ""
    samples = f", {estimate.k} effects in {estimate.samples} samples" if estimate.k else ""
    return f"{estimate.metric} {_number(estimate.value)}{ends}{tau2}{samples}"


def _moved(change: EstimateChange) -> str:
    return f" (moved by {change.moved:+.3f})" if math.isfinite(change.moved) else ""


def _number(value: float, decimals: int = 3) -> str:
    return f"{value:.{decimals}f}" if math.isfinite(value) else "–"
