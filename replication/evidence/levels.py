"""Within and between schools: is it the single student's view of the teachers, or the school's?

Called by findings. The same pairs of the same samples are pooled three times, apart from each other and never with the
plain correlations of a finding: students as they come, students against others of their own school, and schools. Only
pairs that have all three enter, so that the three differ by level alone. The contextual effect is the slope between
less the slope within: zero if a school's mean says no more than its students do.

What it does not show: the students of a school are also alike for reasons of who goes there (composition), and a school
with one class in the sample cannot be told from that class. Both sides are mostly the students' own reports.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from replication.analysis.outcome import (
    Cell,
    Estimate,
    Figure,
    Findings,
    Label,
    Number,
    Ref,
    Sentence,
    Table,
    numbers,
    of,
    placed,
    refs,
    within,
)
from replication.dataset import Dataset, Selection
from replication.effects.correlation import fisher_z_variance, to_fisher_z
from replication.errors import ModelError
from replication.evidence.main_model import Estimated, estimate_body, leading_estimate, working_fit
from replication.evidence.question import Evidence
from replication.models.fit import Array

__all__ = ["Level", "Matched", "matched_levels", "within_between"]

FEWEST_SAMPLES = 3
"""Fewer samples are shown row by row, not pooled: of two the spread between samples cannot be seen."""

_PAIR = ("sample_id", "var_a", "measure_a", "var_b", "measure_b")
_NUMBERS = ("effect_id", "value", "n", "n_effective", "unit")
_CONTEXT = ("icc_a", "icc_b", "contextual", "contextual_se")
Level = str
LEVELS: dict[Level, str] = {
    "plain": "level_plain",
    "within": "level_within",
    "between": "level_between",
}


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """The rows of one question that have a figure at every level, `(k,)` each, in one order.

    `contextual` and `contextual_se (k,)` are oriented as the effects are; `icc` are the intraclass correlations of the
    relationship and the outcome `(k, 2)`; `withheld` counts pairs within schools without a figure between them.
    """

    plain: Evidence
    within: Evidence
    between: Evidence
    contextual: Array
    contextual_se: Array
    icc: Array
    withheld: int

    @property
    def samples(self) -> int:
        """How many samples they come from."""
        return len(set(self.plain.samples))


def matched_levels(data: Dataset, found: Evidence) -> Matched:
    """The pairs of a body that the dataset also has within and between schools, at every level.

    Parameters
    ----------
    found : the rows of students as they come; what the protocol left out of them is out at every level.
    """
    inside = _by_pair(data, found, "student within school")
    among = _by_pair(data, found, "school mean")
    keys = list(found.cells(*_PAIR))
    # the contextual effect is a slope on the first measure, so that has to be the relationship
    first = found.rows["var_a"].isin(found.question.relationships).to_numpy()
    with_inside = np.array([key in inside for key in keys], dtype=bool) & first
    chosen = with_inside & np.array([key in among for key in keys], dtype=bool)
    kept = found.take(chosen)
    rows = [inside[key] for key, here in zip(keys, chosen, strict=True) if here]
    sign = kept.rows["sign"].to_numpy(float)
    # Named columns, since without rows there would be none to ask for.
    held = pd.DataFrame(rows, columns=list(_CONTEXT))
    return Matched(
        kept,
        _at(kept, rows),
        _at(kept, [among[key] for key, here in zip(keys, chosen, strict=True) if here]),
        sign * held["contextual"].to_numpy(float),
        held["contextual_se"].to_numpy(float),
        held[["icc_a", "icc_b"]].to_numpy(float),
        int((with_inside & ~chosen).sum()),
    )


def within_between(data: Dataset, found: Evidence) -> Findings:
    """The section of a finding on levels: a table, a figure, estimates and sentences; empty where nothing is held."""
    matched = matched_levels(data, found)
    if matched.samples < FEWEST_SAMPLES:
        return Findings()
    question = found.question
    bodies: dict[Level, Estimated] = {}
    for level, body in _bodies(matched).items():  # those within schools are nearly the plain ones
        bodies[level] = estimate_body(body, bodies["plain"].fit if level == "within" else None)
    estimates = tuple(_estimate(body, level) for level, body in bodies.items())
    context = _contextual(matched)
    table = _table(matched, estimates, context)
    figure = Figure(
        id=f"levels-{question.id}",
        kind="agreement",
        title=of(question.label, "within_and_between"),
        columns={
            "label": [LEVELS[level] for level in bodies],
            "value": [e.value for e in estimates],
            "low": [e.low for e in estimates],
            "high": [e.high for e in estimates],
            "estimate": [e.id for e in estimates],
        },
        settings={"metric": "r"},
    )
    return Findings(
        estimates=placed("levels", (*estimates, *((context,) if context is not None else ()))),
        tables=placed("levels", (table,)),
        figures=placed("levels", (figure,)),
        sentences=placed("levels", _sentences(matched, dict(zip(bodies, estimates, strict=True)), context, table)),
    )


def _by_pair(data: Dataset, found: Evidence, unit: str) -> dict[tuple[str, ...], dict[str, object]]:
    effects, own = data.columns("effects.csv"), frozenset(found.samples.tolist())
    columns = [name for name in (*_PAIR, *_NUMBERS, *_CONTEXT) if name in effects]
    # Units are never pooled with each other, so the three are looked up apart and matched by pair.
    held = (of == unit and sample in own for sample, of in effects.rows("sample_id", "unit"))
    rows = effects.where(held).records(*columns)
    return {tuple(str(row[name]) for name in _PAIR): row for row in rows}


def _at(found: Evidence, rows: list[dict[str, object]]) -> Evidence:
    """The same pairs with the numbers of another level."""
    cells = {name: [row[name] for row in rows] for name in _NUMBERS}
    # No weighted figure is held of a level; that of the plain row would be another quantity.
    table = found.rows.assign(value_weighted=np.nan)
    for name, column in cells.items():
        table[name] = pd.Series(column, index=table.index)
    y = found.rows["sign"].to_numpy(float) * to_fisher_z(table["value"].to_numpy(float))
    # Without an n after the design the variance is missing, not that of as many independent persons.
    v = fisher_z_variance(table["n_effective"].to_numpy(float))
    return replace(found, selection=Selection(table, ()), rows=table, y=y, v=v)


def _bodies(matched: Matched) -> dict[Level, Evidence]:
    """Each level under a question id of its own, so that its estimates have ids of their own."""
    found = {"plain": matched.plain, "within": matched.within, "between": matched.between}
    return {
        level: replace(body, question=replace(body.question, id=f"levels-{body.question.id}-{level}"))
        for level, body in found.items()
    }


def _estimate(body: Estimated, level: Level) -> Estimate:
    """The mean of one level, from whichever of CR2 and posterior leads."""
    # The mean alone: intervals for a further sample belong to the finding, not to each level.
    main = leading_estimate(body, within(body.found.question.label, LEVELS[level]))
    return replace(main, group="levels", method={**main.method, "unit": LEVELS[level]})


def _contextual(matched: Matched) -> Estimate | None:
    """The mean contextual effect, standard deviations of the outcome per one of the relationship; None without one."""
    found = replace(matched.plain, y=matched.contextual, v=matched.contextual_se**2)
    known = np.isfinite(found.y) & np.isfinite(found.v) & (found.v > 0)
    try:
        # By the working model as well: a sample's contextual effects share its students.
        fit = working_fit(found.take(known))
    except ModelError:
        return None
    low, high = fit.interval()[0].tolist()
    return Estimate(
        id=f"levels-{found.question.id}-contextual",
        label=within(found.question.label, "contextual_effect"),
        metric="b",
        value=float(fit.beta[0]),
        low=low,
        high=high,
        se=float(fit.se[0]),
        p=float(fit.p[0]),
        k=int(known.sum()),
        samples=matched.samples,
        n=found.persons,
        group="levels",
        method={**fit.method, "scale": "scale_total_sd"},
        rows=tuple(matched.within.rows["effect_id"][known]),
    )


def _table(matched: Matched, estimates: tuple[Estimate, ...], context: Estimate | None) -> Table:
    question = matched.plain.question
    # The median, as an intraclass correlation of few schools may come out at any size.
    icc = np.nanmedian(matched.icc, axis=0)
    rows: list[tuple[Cell, ...]] = [
        (LEVELS[level], e.value, e.low, e.high, e.k, e.samples, e.n) for level, e in zip(LEVELS, estimates, strict=True)
    ]
    links = [e.id for e in estimates]
    if context is not None:
        rows.append(
            (
                "contextual_effect_slope",
                context.value,
                context.low,
                context.high,
                context.k,
                context.samples,
                context.n,
            )
        )
        links.append(context.id)
    for label, value in zip(("icc_exposure", "icc_outcome"), icc, strict=True):
        rows.append((label, float(value), None, None, len(matched.icc), matched.samples, None))
    links += ["", ""]
    return Table(
        id=f"levels-{question.id}",
        title=of(question.label, "levels_pairs"),
        columns=("level", "r", "low", "high", "pairs", "samples", "n"),
        rows=tuple(rows),
        links=refs("estimate", links),
        note=Label("levels_note", {"withheld": matched.withheld}),
    )


def _sentences(
    matched: Matched, estimates: dict[Level, Estimate], context: Estimate | None, table: Table
) -> tuple[Sentence, ...]:
    """The three figures side by side, what the contextual effect says of them, and what it cannot say."""
    values: dict[str, Cell | Number] = {"question": matched.plain.question.id}
    for level, estimate in estimates.items():
        ends = {level: estimate.value, f"{level}_low": estimate.low, f"{level}_high": estimate.high}
        values |= numbers(ends, Ref("estimate", estimate.id))
    values |= numbers({"samples": matched.samples}, Ref("table", table.id))
    said = [Sentence("levels.three", values)]
    if matched.withheld:
        counted = numbers({"withheld": matched.withheld}, Ref("table", table.id))
        said.append(Sentence("levels.withheld", counted))
    if context is not None:
        ref = Ref("estimate", context.id)
        numbered = numbers({"effect": context.value, "low": context.low, "high": context.high}, ref)
        said.append(Sentence(f"levels.{_reading(estimates['within'], context)}", numbered))
    said.append(Sentence("levels.limits"))
    return tuple(said)


def _reading(within: Estimate, context: Estimate) -> str:
    """What the contextual effect adds to the figure within: more in the same direction, less, or nothing clear."""
    # No claim about schools from an interval that holds zero, whatever its middle.
    if context.low <= 0 <= context.high:
        return "unclear"
    return "school_too" if context.value * within.value > 0 else "student_only"
