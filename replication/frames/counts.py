"""Models of counts by formula: odds ratios, rate ratios, proportions and rates from the counts themselves.

Where events are rare, effect sizes with 1/2 added and their normal variances mislead; here the counts are modelled as
they are (`replication.models.two_level.count_models`).
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from replication.errors import ModelError
from replication.frames.design import Column, make_design, number_column
from replication.frames.fitted import FittedModel
from replication.frames.measures import effect_sizes
from replication.models.options import CountMeasure, CountModel, NormalTest, check_choice
from replication.models.two_level.count_models import COUNT_COLUMNS, fit_counts, study_counts

__all__ = ["glmm"]


def glmm(
    measure: CountMeasure,
    data: pd.DataFrame,
    moderators: str = "~ 1",
    *,
    a: Column | None = None,
    b: Column | None = None,
    c: Column | None = None,
    d: Column | None = None,
    events: Column | None = None,
    n: Column | None = None,
    time: Column | None = None,
    events1: Column | None = None,
    time1: Column | None = None,
    events2: Column | None = None,
    time2: Column | None = None,
    model: CountModel = "conditional",
    heterogeneity: bool = True,
    test: NormalTest = "z",
    level: float = 0.95,
    labels: Column | None = None,
) -> FittedModel:
    """A generalised linear mixed model of counts, by maximum likelihood.

    Parameters
    ----------
    measure : `"OR"` with columns a, b, c, d (events and non-events of group 1, then of 2); `"IRR"` with events1, time1,
        events2, time2; `"PLO"` (logit of a proportion) with events, n; `"IRLN"` (log rate) with events, time
    data : one row per study
    moderators : right side of a formula, such as `"~ year + C(country)"`
    model : of two groups: `"conditional"` on the total of events (exact; metafor's CM.EL), `"fixed baselines"` (UM.FS),
        `"random baselines"` (UM.RS), `"approximate"` (odds ratios of rare events, CM.AL)
    heterogeneity : False for one common effect
    test : `"z"`, or `"t"` with k - p degrees of freedom
    labels : column with a label per row

    Estimates are logs: `fit.summary(transform=numpy.exp)` adds ratios. The column `yi` (1/2 added where a cell is
    empty) is what tables of residuals show; no model is fitted to it. Heterogeneity is tested by the likelihood ratio
    against an effect for each study.

    Raises
    ------
    ModelError
        For columns that are missing or too many, cells that are no counts, and counts that cannot carry the model.

    >>> trials = pd.DataFrame({"a": [3, 7, 5, 102], "b": [36, 7, 6, 20], "c": [3, 14, 11, 28], "d": [44, 15, 18, 32]})
    >>> glmm("OR", trials, a="a", b="b", c="c", d="d").tidy().estimate.round(3).tolist()
    [0.784]
    """
    check_choice(measure, CountMeasure, "measure")
    check_choice(model, CountModel, "model")
    given: Mapping[str, Column | None] = {
        **{"a": a, "b": b, "c": c, "d": d, "events": events, "n": n, "time": time},
        **{"events1": events1, "time1": time1, "events2": events2, "time2": time2},
    }
    passed = {name: values for name, values in given.items() if values is not None}
    wanted = COUNT_COLUMNS[measure]
    if set(passed) != set(wanted):
        raise ModelError(f"{measure} needs the columns {', '.join(wanted)}; given were {', '.join(passed) or 'none'}.")
    counts = study_counts(measure, *(number_column(data, passed[name], name) for name in wanted))
    # The plain effect sizes are the response that tables and residuals show; no model is fitted to them.
    shown = effect_sizes(data, measure, **passed)  # type: ignore[arg-type]
    right = (moderators.partition("~")[2] if "~" in moderators else moderators).strip()
    design = make_design(f"yi ~ {right}", shown, needed={name: passed[name] for name in wanted}, labels=labels)
    fit = fit_counts(
        counts, design.x, model=model, heterogeneity=heterogeneity, test=test, level=level, names=design.names
    )
    return FittedModel(fit, design)
