"""What the main estimate hangs on: each criterion of the protocol dropped, each restriction added, other assumptions.

Called by findings; the rules of certainty read some of the same estimates (`Sensitivity.part`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from replication.analysis.outcome import Cell, Estimate, Label, Table, Text, of, refs
from replication.dataset import Dataset
from replication.effects.correlation import back_to_r
from replication.errors import ModelError
from replication.evidence.certainty import Part
from replication.evidence.main_model import Estimated, estimate_body, leading_estimate, why_none, working_fit
from replication.evidence.protocol import load_protocol
from replication.evidence.question import Evidence, Question, evidence, screened_rows
from replication.models.fit import Fit

__all__ = ["RHOS", "Sensitivity", "restrictions", "sensitivities", "sensitivity_table"]

RHOS = (0.4, 0.8)


@dataclass(frozen=True, slots=True, eq=False)
class Sensitivity:
    """One variation of the pool: its id, its wording, how many rows it has more or fewer, and its estimate.

    `answer` is None where no row is left, or where the variation changes nothing.
    """

    id: str
    wording: Text
    rows: int
    answer: Estimated | None

    @property
    def part(self) -> Part | None:
        """What the rules of certainty read."""
        if self.answer is None:
            return None
        mean = self.answer.mean
        return Part(len(set(self.answer.found.samples)), self.answer.centre, mean.low, mean.high)


def sensitivities(data: Dataset, question: Question, main: Estimated) -> tuple[Sensitivity, ...]:
    """Without each criterion in turn (where that lets rows in), and with each restriction (where it leaves any)."""
    found, protocol, screened = main.found, load_protocol(), screened_rows(data, question)
    made = []
    for criterion in protocol.criterion:
        if criterion.id in ("unit", "whole"):
            continue  # other quantities, and persons counted twice: there is no sound estimate without these two
        name = f"without-{criterion.id}"
        wording = Label("without_criterion", {"criterion": criterion.label})
        # Most criteria leave no row out that another does not leave out, too.
        if np.array_equal(screened.without(criterion.id), screened.included):
            made.append(Sensitivity(name, wording, 0, None))
            continue
        wider = evidence(data, question, found.source, without=criterion.id)
        made.append(_varied(name, wording, wider, main))
    return (*made, *restrictions(main))


def restrictions(main: Estimated) -> tuple[Sensitivity, ...]:
    """With each restriction of the protocol alone: what the rules of certainty read."""
    found = main.found
    return tuple(
        _varied(f"only-{one.id}", one.label, found.take(~one.fails(found.rows)), main)
        for one in load_protocol().restriction
    )


def _varied(name: str, wording: Text, varied: Evidence, main: Estimated) -> Sensitivity:
    more = len(varied.y) - len(main.found.y)
    if not len(varied.y):
        return Sensitivity(name, wording, more, None)
    # The same rows give the same estimate: fitting again would cost seconds and say nothing.
    if set(varied.rows["effect_id"]) == set(main.found.rows["effect_id"]):
        return Sensitivity(name, wording, 0, main if name.startswith("only-") else None)
    return Sensitivity(name, wording, more, estimate_body(varied, main.fit))


def sensitivity_table(main: Estimated, varied: tuple[Sensitivity, ...]) -> tuple[tuple[Estimate, ...], Table]:
    """All variations beside the main estimate: rows, samples, r with interval (1), and what leads.

    A variation that changes nothing says so; one that leaves nothing says that.
    """
    key = main.found.question.id
    rows: list[tuple[Cell, ...]] = [("main_estimate", 0, *_numbers(main))]
    links = [f"{key}-{main.found.source}-{'cr2' if main.leads == 'CR2' else 'posterior'}"]
    estimates: list[Estimate] = []
    for one in varied:
        if one.answer is None or one.answer is main:
            rows.append((one.wording, one.rows, *_said(one, main)))
            links.append("")
            continue
        estimate = _lead(one.answer, f"{key}-{one.id}", one.wording)
        estimates.append(estimate)
        rows.append((one.wording, one.rows, *_numbers(one.answer)))
        links.append(estimate.id)
    for wording, numbers in _assumptions(main):
        rows.append((wording, 0, *numbers))
        links.append("")
    table = Table(
        id=f"sensitivity-{key}",
        title=of(main.found.question.label, "what_it_hangs_on"),
        columns=("variation", "rows_more_or_fewer", "samples", "r", "low", "high", "leads"),
        rows=tuple(rows),
        links=refs("estimate", links),
    )
    return tuple(estimates), table


def _said(one: Sensitivity, main: Estimated) -> tuple[Cell, ...]:
    if one.answer is main or one.rows == 0:
        return (None, None, None, None, "no_row_differs")
    return (None, None, None, None, "no_row_is_left")


def _numbers(answer: Estimated) -> tuple[Cell, ...]:
    mean = answer.mean
    return (len(set(answer.found.samples)), answer.centre, mean.low, mean.high, answer.leads)


def _lead(answer: Estimated, name: str, label: Text) -> Estimate:
    led = leading_estimate(answer, label)
    return replace(led, id=name, label=of(answer.found.question.label, label), group="sensitivity")


def _assumptions(main: Estimated) -> Iterator[tuple[Text, tuple[Cell, ...]]]:
    """Other working correlations of errors, and all unknown countries as one: the bound of what is not known."""
    found = main.found
    for rho in RHOS:
        yield Label("errors_correlate", {"rho": rho}), _fitted(found, partial(working_fit, found, rho, near=main.fit))
    if found.source == "pool" and found.unknown_countries > 1:
        unknown = (found.rows["country"].fillna("") == "").to_numpy()
        # The other extreme of what is assumed: all of them dependent instead of none.
        places = np.where(unknown, "all unknown", found.places)
        fitted = _fitted(found, partial(working_fit, found, places=places, near=main.fit))
        yield "unknown_in_one_country", fitted


def _fitted(found: Evidence, fit: Callable[[], Fit]) -> tuple[Cell, ...]:
    try:
        made = fit()
    except ModelError as error:
        return (len(set(found.samples)), None, None, None, why_none(found, error))
    low, high = back_to_r(made.interval()[0]).tolist()
    value = float(back_to_r(made.beta[0]))
    return (len(set(found.samples)), value, low, high, Label("cr2_df", {"df": float(made.df[0])}))
