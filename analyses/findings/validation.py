"""Our numbers beside those of other packages on the same data: how many were compared, and the largest difference.

The other packages' numbers are pinned in `tests/reference` with calls and versions; the tests hold us to them with a
tolerance by kind of number, and this page shows what the differences are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from analyses.shared.masem_answers import FULL_MEDIATION, samples45
from replication import paths
from replication.analysis import Analysis, Context, Findings, placed
from replication.analysis.outcome import Table
from replication.dataset import Dataset, Reads
from replication.effects.correlation import fisher_z_variance, to_fisher_z
from replication.labels import Label, Text
from replication.models.bayes.exact.exact import exact_two_level
from replication.models.bayes.exact.summaries import summarize
from replication.models.bayes.priors.coefficient import Normal
from replication.models.bayes.priors.positive import HalfCauchy
from replication.models.masem.stage1 import fit_stage1_random
from replication.models.masem.stage2 import fit_stage2
from replication.models.prediction import prediction_interval
from replication.models.two_level.random_effects import fit_random_effects

__all__ = ["ANALYSIS", "validation_tables"]

WHY = (
    (
        "differs_metafor",
        "differs_metafor_why",
    ),
    (
        "differs_metasem_digits",
        "differs_metasem_digits_why",
    ),
    (
        "differs_metasem_intervals",
        "differs_metasem_intervals_why",
    ),
    (
        "differs_bayesmeta",
        Label("differs_bayesmeta_why", {"mean": 1e-5, "spread": 2e-3}),
    ),
)
NOT_COMPARED = (
    ("uncompared_roles", "uncompared_roles_why"),
    ("uncompared_averages", "uncompared_averages_why"),
    ("uncompared_waap", "uncompared_waap_why"),
)
SMALL = 0.01  # below this a difference is taken relative to 0.01, so that an interval end near 0 does not decide
FIELDS = {
    "mu": "estimate",
    "se": "standard_error",
    "tau2": "tau2",
    "tau2_lb": "interval_of_tau2",
    "tau2_ub": "interval_of_tau2",
    "pi_lb": "prediction_interval",
    "pi_ub": "prediction_interval",
    "ci_lb": "interval",
    "ci_ub": "interval",
    "QE": "Q",
    "I2": "I2",
    "ll": "log_likelihood",
}


@dataclass(slots=True)
class _Tally:
    """Numbers compared and the largest relative difference, by package and kind; local to one call."""

    found: dict[tuple[Text, Text], tuple[int, float]] = field(default_factory=dict)

    def add(self, package: Text, kind: Text, ours: float, theirs: object) -> None:
        if not isinstance(theirs, int | float) or not math.isfinite(theirs):
            return
        gap = abs(ours - theirs) / max(abs(theirs), SMALL)
        count, worst = self.found.get((package, kind), (0, 0.0))
        self.found[package, kind] = (count + 1, max(worst, gap))


def validation_tables(data: Dataset, pinned: Path) -> tuple[Table, ...]:
    """What agrees and by how much; what differs and why; what is not compared."""
    tally = _Tally()
    _metafor(tally, _read(pinned / "metafor" / "roorda_5_1.json"))
    _metasem(tally, data, _read(pinned / "masem_roorda.json"))
    _bayesmeta(tally, _read(pinned / "bayesmeta_exact.json"))
    rows = tuple((package, kind, count, worst) for (package, kind), (count, worst) in tally.found.items())
    return (
        Table(
            id="agrees",
            title="what_agrees",
            columns=("package", "kind_of_number", "compared", "largest_relative_difference"),
            rows=rows,
            note="relative_note",
        ),
        Table(id="differs", title="what_does_not_agree", columns=("what", "why"), rows=WHY),
        Table(id="not-compared", title="what_is_not_compared", columns=("what", "why"), rows=NOT_COMPARED),
    )


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _metafor(tally: _Tally, pinned: Mapping[str, Any]) -> None:
    for one in pinned["sets"].values():
        y, v = np.array(one["yi"]), np.array(one["vi"])
        for key, theirs in one["fits"].items():
            method, test = key.split("_")
            which = "PM, PMM" if method.startswith("PM") else "other_estimators"
            package = Label("package_with", {"package": "metafor", "what": which})
            fit = fit_random_effects(y, v, method=method, test=test)
            ours = _fit_numbers(fit)
            for name, kind in FIELDS.items():
                # A common-effect fit has no tau2 and no prediction interval to compare.
                if name in ours:
                    tally.add(package, kind, ours[name], theirs.get(name))


def _fit_numbers(fit: Any) -> dict[str, float]:
    low, high = fit.interval()[0]
    numbers = {
        "mu": fit.beta[0],
        "se": fit.se[0],
        "ci_lb": low,
        "ci_ub": high,
        "ll": fit.loglik,
        "QE": fit.heterogeneity.Q,
        "I2": fit.heterogeneity.I2,
    }
    if fit.components:
        tau2 = fit.component("tau2")
        prediction = prediction_interval(fit)
        numbers |= {"tau2": tau2.estimate, "pi_lb": prediction.low, "pi_ub": prediction.high}
        if tau2.interval:
            numbers |= {"tau2_lb": tau2.interval.low, "tau2_ub": tau2.interval.high}
    return {name: float(value) for name, value in numbers.items()}


def _metasem(tally: _Tally, data: Dataset, pinned: Mapping[str, Any]) -> None:
    # metaSEM was run on the same 45 matrices; the pinned file keeps its call and version.
    correlations = samples45(data)
    for rule, theirs in pinned["two_stage"].items():
        package = Label("package_with", {"package": "metaSEM", "what": rule})
        pool = fit_stage1_random(correlations, sampling=rule)
        stage1 = [*pool.fit.beta, *(c.estimate for c in pool.fit.components)]
        _pairs(tally, package, _of_stage(1, "estimates"), stage1, theirs["stage1"]["est"])
        tally.add(package, "minus_two_log_likelihood", pool.minus2loglik, theirs["stage1"]["m2ll"])
        paths = fit_stage2(pool, FULL_MEDIATION)
        found = dict(zip(paths.fit.names, paths.fit.beta, strict=True))
        errors = dict(zip(paths.fit.names, paths.fit.se, strict=True))
        for name, number in theirs["full_mediation"]["coef"].items():
            tally.add(package, _of_stage(2, "paths"), float(found[name]), number["est"])
            tally.add(package, _of_stage(2, "standard_errors"), float(errors[name]), number["se"])
        chi2 = theirs["full_mediation"]["stat"]["Chi-square of target model"]
        tally.add(package, _of_stage(2, "chi-square"), paths.indices.chi2, chi2)


def _of_stage(stage: int, what: Text) -> Label:
    return Label("stage_what", {"stage": stage, "what": what})


def _pairs(tally: _Tally, package: Text, kind: Text, ours: Iterable[float], theirs: Iterable[object]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        tally.add(package, kind, float(a), b)


def _bayesmeta(tally: _Tally, pinned: Mapping[str, Any]) -> None:
    for one in pinned["data"].values():
        y, v = to_fisher_z(one["r"]), fisher_z_variance(one["n"])
        posterior = exact_two_level(y, v, tau=HalfCauchy(0.3), coefficients=Normal(0.0, 1.0))
        marginals = {"tau": posterior.sd("tau"), "mu": posterior.coefficient(), "theta": posterior.predict()}
        for name, marginal in marginals.items():
            ours, theirs = summarize(marginal, name), one["summary"][name]
            for field_ in ("mode", "median", "mean", "sd"):
                tally.add(
                    "bayesmeta", Label("kind_summaries", {"name": name}), float(getattr(ours, field_)), theirs[field_]
                )
            for end, key in ((ours.shortest.low, "95% lower"), (ours.shortest.high, "95% upper")):
                tally.add("bayesmeta", Label("kind_shortest", {"name": name}), end, theirs[key])


def run(context: Context) -> Findings:
    return Findings(tables=placed("more", validation_tables(context.data, paths.pinned_dir())))


ANALYSIS = Analysis(
    id="validation",
    title="title_validation",
    question="question_validation",
    run=run,
    reads=Reads(outcomes=("engagement", "achievement")),
    kind="finding",
)
