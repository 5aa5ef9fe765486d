"""What would change a grade: hypothetical samples added until it moves. Computed with the same model and rules.

The hypothetical samples are called that everywhere and enter nothing but this threshold.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from replication.dataset import Selection
from replication.effects.correlation import back_to_r, fisher_z_variance, to_fisher_z
from replication.errors import ModelError
from replication.evidence.answer import Change
from replication.evidence.certainty import GRADES, Certainty, Inputs, certainty_of
from replication.evidence.main_model import FEWEST_COUNTRIES, FEWEST_DF, Estimated, posterior_of_body, working_fit
from replication.evidence.question import Evidence

__all__ = ["MOST", "STUDENTS", "change_of", "with_hypothetical"]

STUDENTS = 1000
"""Students of each hypothetical sample: a national survey's country with a small sample, or a large study."""
MOST = 40
"""So many further samples are looked at, about as many as there are; more would be another literature."""


def change_of(widest: Estimated, inputs: Inputs, association: Certainty) -> Change:
    """The fewest further samples without any association (r = 0), each in a further country, that lower the grade."""
    held = tuple(d.domain for d in association.decisions if d.step < 0)
    at = GRADES.index(association.grade)
    if at == 0:
        return Change(None, MOST, 0.0, STUDENTS, None, held)
    low, high = 0, MOST
    most = with_hypothetical(widest.found, MOST, 0.0, STUDENTS)

    def with_some(m: int) -> int:
        some = np.arange(len(most.y)) < len(widest.found.y) + m
        return _grade_with(most.take(some), widest, inputs, m, association.target)

    reached = with_some(MOST)
    if reached >= at:
        return Change(None, MOST, 0.0, STUDENTS, None, held)
    while high - low > 1:  # the grade falls with the number of empty samples, so halving finds the first
        middle = (low + high) // 2
        grade = with_some(middle)
        low, high, reached = (low, middle, grade) if grade < at else (middle, high, reached)
    return Change(high, MOST, 0.0, STUDENTS, GRADES[reached], held)


def _grade_with(found: Evidence, widest: Estimated, inputs: Inputs, m: int, target: float) -> int:
    """The grade, as a number from 0, on evidence with m hypothetical samples.

    What is known of measures and bias stays as it is.
    """
    # A hundredth will do: only on which side of a threshold the ends lie is asked, a dozen times.
    posterior = posterior_of_body(found, rtol=1e-2)
    low, middle, high = back_to_r(posterior.coefficient().ppf([0.025, 0.5, 0.975])).tolist()
    try:
        fit = working_fit(found, near=widest.fit)
        if (fit.clusters or 0) >= FEWEST_COUNTRIES and fit.df[0] >= FEWEST_DF:
            low, high = back_to_r(fit.interval()[0]).tolist()
            middle = float(back_to_r(fit.beta[0]))
    except ModelError:
        pass  # the posterior leads, as in `estimate_body`
    changed = replace(
        inputs,
        centre=middle,
        low=low,
        high=high,
        spread=float(np.sqrt(posterior.variance("between") + posterior.variance("country"))),
        samples=inputs.samples + m,
        groups=inputs.groups + m,
    )
    return GRADES.index(certainty_of(changed, target=target)[0].grade)


def with_hypothetical(found: Evidence, m: int, r: float, n: int) -> Evidence:
    """The evidence with m hypothetical samples of n students and correlation r, each in a further country."""
    names = [f"hypothetical {i + 1}" for i in range(m)]
    # Empty cells: a hypothetical sample has no measures, and no rule but size and number may see it.
    blank = dict.fromkeys(found.rows.columns, "")
    rows = pd.DataFrame([{**blank, "sample_id": name, "place": name, "n": n, "effect_id": name} for name in names])
    together = pd.concat([found.rows, rows], ignore_index=True) if m else found.rows
    return replace(
        found,
        selection=Selection(together, found.selection.excluded),
        rows=together,
        y=np.append(found.y, np.full(m, to_fisher_z(r))),
        v=np.append(found.v, np.full(m, fisher_z_variance(n))),
    )
