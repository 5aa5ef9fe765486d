"""Egger's test and PET-PEESE where samples have several dependent effects: the multilevel model with robust variance.

Source: Rodgers & Pustejovsky (2021, Psychological Methods 26:141): regress on the standard error in the correlated
and hierarchical effects model (effects in clusters, an assumed correlation of sampling errors) and guard the test
with CR2. Averages of a sample's effects would lose the differences between them, and rows taken as independent count
one sample many times.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from replication.models.bias.funnel_asymmetry import refuse_equal
from replication.models.bias.inputs import bias_data, cluster_robust, without_perfect_fit
from replication.models.bias.pet_peese import PetPeese, choose_pet_peese
from replication.models.fit import Fit
from replication.models.multilevel.multilevel import fit_multilevel
from replication.models.multilevel.structure import BlockV
from replication.models.options import Direction

__all__ = ["fit_multilevel_funnel", "multilevel_pet_peese"]


def fit_multilevel_funnel(
    y: ArrayLike,
    v: ArrayLike,
    clusters: ArrayLike,
    *,
    predictor: Literal["se", "variance"] = "se",
    rho: float = 0.6,
    level: float = 0.95,
    near: ArrayLike | None = None,
) -> Fit:
    """Regress effects on their imprecision in the correlated and hierarchical effects model, CR2 by cluster.

    Parameters
    ----------
    y, v : (k,) effects and sampling variances; for correlations take Fisher's z, whose variance knows n alone, so that
        an effect and its standard error are not tied by construction
    clusters : (k,) the sample of each effect
    predictor : "se" (Egger, PET) or "variance" (PEESE)
    rho : assumed correlation of the sampling errors within a cluster
    level : of intervals
    near : variances (between clusters, within them) that should be close, as in `fit_multilevel`

    Returns the `Fit` with the coefficients "intercept" and the predictor; `egger_of_fit` reads the test off it.

    Raises `ModelError` for fewer than three effects or equal predictors.

    >>> fit = fit_multilevel_funnel([0.5, 0.4, 0.2, 0.25, 0.6], [0.09, 0.09, 0.01, 0.02, 0.08], [1, 1, 2, 3, 4])
    >>> fit.names, round(float(fit.beta[1]), 3)
    (('intercept', 'se'), 1.646)
    """
    data = bias_data(y, v, fewest=3, method="a multilevel funnel regression")
    # Labels come as passed; the effects have lost their incomplete rows by now.
    labels = np.asarray(clusters)[list(data.effects.rows)]
    column = data.se if predictor == "se" else data.v
    refuse_equal(column, predictor)
    design = np.column_stack([np.ones(data.k), column])
    # rho is an assumption, as papers rarely print it; CR2 keeps the test valid where it is wrong.
    V = BlockV.constant_correlation(data.v, labels, rho)
    names = ("intercept", predictor)
    fit = fit_multilevel(data.y, V, {"sample": labels}, design, names=names, level=level, near=near)
    return without_perfect_fit(cluster_robust(fit, labels), data.y, design)


def multilevel_pet_peese(
    y: ArrayLike,
    v: ArrayLike,
    clusters: ArrayLike,
    *,
    direction: Direction | None = None,
    alpha: float = 0.10,
    rho: float = 0.6,
    level: float = 0.95,
) -> PetPeese:
    """PET-PEESE on dependent effects, by the rule of `pet_peese`; other arguments as in `fit_multilevel_funnel`.

    >>> y, v = [0.5, 0.4, 0.2, 0.25, 0.6], [0.09, 0.09, 0.01, 0.02, 0.08]
    >>> multilevel_pet_peese(y, v, [1, 1, 2, 3, 4], direction="positive").chosen
    'PET'
    """
    first = fit_multilevel_funnel(y, v, clusters, predictor="se", rho=rho, level=level)
    second = fit_multilevel_funnel(y, v, clusters, predictor="variance", rho=rho, level=level)
    return choose_pet_peese(first, second, direction=direction, alpha=alpha)
