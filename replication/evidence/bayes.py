"""Exact posteriors of two and three levels as estimates: for schools, and beside the sampled models; and joint draws.

Everything is on Fisher's z; medians and intervals are shown in r (the transformation is monotone, so quantiles move
with it). The findings themselves use the model with countries, in `main_model`; its draws are made here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from replication.analysis.outcome import Draws, Estimate, Label, several
from replication.dataset import Selection
from replication.effects.correlation import back_to_r
from replication.evidence.main_model import Estimated
from replication.evidence.question import RHO, Evidence
from replication.models.bayes.exact.exact import exact_three_level, exact_two_level
from replication.models.bayes.exact.marginals import Marginal
from replication.models.bayes.exact.posterior import ExactPosterior
from replication.models.bayes.joint_draws import CHAINS, EXACTLY, draw_exact
from replication.models.bayes.priors.coefficient import CoefficientPrior
from replication.models.bayes.priors.informed import PriorSet
from replication.models.fit import Array
from replication.models.multilevel.structure import BlockV

__all__ = ["RHO", "posterior_draws", "posterior_estimate", "posterior_of", "rounded"]

SAVED = 250
"""Independent draws saved in each of the chains of an exact posterior: a thousand in all give a mean to 3 % of its sd,
and who wants more draws them with the library."""


def posterior_of(found: Evidence, priors: PriorSet, mean: CoefficientPrior | None = None) -> ExactPosterior:
    """The exact posterior: three levels where samples have several rows, two levels otherwise."""
    chosen = mean or priors.mean
    samples = found.samples
    # With one row per sample the variance within samples cannot be seen: it would be the prior's alone.
    if len(set(samples)) == len(samples):
        return exact_two_level(found.y, found.v, tau=priors.tau, coefficients=chosen)
    V = BlockV.constant_correlation(found.v, samples, RHO)
    return exact_three_level(found.y, V, samples, between=priors.between, within=priors.within, coefficients=chosen)


def posterior_estimate(
    posterior: ExactPosterior,
    selection: Selection,
    *,
    id: str,  # noqa: A002
    label: str,
    group: str = "bayes",
) -> Estimate:
    """The average of an exact posterior on Fisher z as an `Estimate` in r: median and central 95 % intervals."""
    value, low, high = _back_transformed(posterior.coefficient())
    _, new_low, new_high = _back_transformed(posterior.predict())
    sds = [posterior.sd(name) for name in posterior.sds]
    return Estimate(
        id=id,
        label=label,
        metric="r",
        value=value,
        low=low,
        high=high,
        prediction_low=new_low,
        prediction_high=new_high,
        # E(sd^2) = mean^2 + variance: the posterior mean of tau2, which is not the square of that of tau.
        tau2=float(sum(sd.mean**2 + sd.sd**2 for sd in sds)),
        k=len(selection.rows),
        samples=len(selection.sample_sizes),
        n=selection.persons,
        group=group,
        method={
            "model": "exact_posterior_by_quadrature",
            "value": Label("posterior_median_value", {"level": 0.95}),
            "priors": several(
                *(p.text for p in (*posterior.data.priors, posterior.data.within, posterior.data.between))
            ),
            "numerical error": Label("relative_error", {"error": float(f"{posterior.accuracy.error:.1g}")}),
        },
        rows=tuple(selection.rows["effect_id"]),
    )


def _back_transformed(marginal: Marginal) -> tuple[float, float, float]:
    low, median, high = (float(x) for x in back_to_r(marginal.ppf([0.025, 0.5, 0.975])))
    return median, low, high


def posterior_draws(answer: Estimated, id: str, seed: int) -> Draws:  # noqa: A002
    """Joint draws of the exact posterior of a body: the three standard deviations and the mean, on Fisher's z."""
    posterior = answer.posterior
    # Seeded by its own name: what else is drawn on the page, and in which order, changes nothing here.
    found = draw_exact(posterior, CHAINS * SAVED, np.random.default_rng([seed, *id.encode()]))
    priors = {f"prior of {name}": str(prior) for name, prior in posterior.priors.items()}
    said = {"model": "effects in samples in countries, exact", "scale": "Fisher z", "drawn": EXACTLY, "seed": str(seed)}
    return Draws(id=id, chains=CHAINS, columns=rounded(found.values), method={**said, **priors})


def rounded(values: Mapping[str, Array]) -> dict[str, tuple[float, ...]]:
    """Draws by name as they are saved: six digits, a thousandth of what a thousand draws know of a mean."""
    # One text for a column: formatting each number by itself takes three times as long.
    flat = {name: np.ravel(column).tolist() for name, column in values.items()}
    return {name: tuple(map(float, (" %.6g" * len(cells) % tuple(cells)).split())) for name, cells in flat.items()}
