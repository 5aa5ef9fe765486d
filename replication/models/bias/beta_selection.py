"""The beta selection model: the chance of publication is a smooth function of the one-sided p value.

Source: Citkowicz & Vevea (2017, Psychological Methods 22:28): `w(p) = p^(delta1 - 1) (1 - p)^(delta2 - 1)`, with p
kept within [1e-5, 1 - 1e-5] because w is infinite at an end whose shape is below 1. Shapes of 1 mean no selection.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from replication.errors import ModelError
from replication.models.bias.selection_likelihood import Atoms
from replication.models.bias.selection_result import SelectionFit, fit_selection
from replication.models.bias.selection_search import EtaRange
from replication.models.bias.selection_setup import Selection, SelectionSetup, selection_setup
from replication.models.fit import Array, Note
from replication.models.literals import Direction, SelectionTau2

__all__ = ["fit_beta_selection"]

SMALLEST_P = 1e-5
# Shapes are above 0; a search that takes one beyond 100 follows a ridge without a top.
SMALLEST_SHAPE, LARGEST_SHAPE = 1e-5, 100.0
# Gauss-Legendre nodes over z in [-4.27, 4.27]: for shapes up to 50 log A is off by less than 1e-12 (600 nodes beside).
NODES = 160


def fit_beta_selection(
    y: ArrayLike,
    v: ArrayLike,
    x: ArrayLike | None = None,
    *,
    direction: Direction = "positive",
    shapes: tuple[float, float] | None = None,
    tau2: SelectionTau2 = "ML",
    names: Sequence[str] | None = None,
    level: float = 0.95,
) -> SelectionFit:
    """Fit by maximum likelihood the effects before selection together with the two shapes.

    Parameters
    ----------
    y, v : (k,) effects and sampling variances
    x : (k, p) whole design, intercept included; None fits an intercept only
    direction : sign of the effects that small p values stand for
    shapes : fixed (delta1, delta2), instead of estimates
    tau2 : "ML", or "EE" for a model without heterogeneity
    names, level : as in `fit_random_effects`

    Returns a `SelectionFit`; its `selection` are "delta1" and "delta2".

    Raises `ModelError` for shapes not above 0 and what `fit_random_effects` refuses.

    >>> y, v = [0.1, 0.6, 0.5, -0.1, 0.4, 0.8], [0.04, 0.05, 0.03, 0.02, 0.02, 0.06]
    >>> result = fit_beta_selection(y, v, shapes=(1.0, 2.0))
    >>> round(float(result.unadjusted.beta[0]), 4), round(float(result.fit.beta[0]), 4)
    (0.3515, 0.1676)
    """
    if shapes is not None and not (len(shapes) == 2 and all(np.isfinite(s) and s > 0 for s in shapes)):
        raise ModelError(f"shapes={shapes!r} must be two numbers above 0; (1, 1) is no selection.")
    setup = selection_setup(y, v, x, names, direction=direction, tau2=tau2, level=level)
    return fit_selection(setup, _selection(setup, shapes))


def _selection(setup: SelectionSetup, shapes: tuple[float, float] | None) -> Selection:
    edge = float(-special.ndtri(SMALLEST_P))
    clipped = np.clip(setup.z, -edge, edge)
    guesses = [(1.0, 1.0), (0.6, 1.5), (1.0, 3.0)] if shapes is None else [shapes]
    return Selection(
        choices={"selection": "beta", "sides": "one", "shapes": "estimated" if shapes is None else "fixed"},
        names=("delta1", "delta2"),
        counts=(None, None),
        observed=_features(clipped),
        atoms=_atoms(edge),
        starts=[np.asarray(guess) - 1.0 for guess in guesses],
        eta_range=EtaRange(SMALLEST_SHAPE - 1.0, LARGEST_SHAPE - 1.0),
        log_link=False,
        estimated=np.full(2, shapes is None),
        zero=np.zeros(2, dtype=bool),
        notes=_clip_notes(setup, clipped),
    )


def _features(z: Array) -> Array:
    """`(log p, log(1 - p))` of the one-sided p of z."""
    return np.column_stack([special.log_ndtr(-z), special.log_ndtr(z)])


def _atoms(edge: float) -> Atoms:
    """Both tails, where w is constant, as cells, and a Gauss-Legendre rule between them."""
    nodes, steps = np.polynomial.legendre.leggauss(NODES)
    nodes, steps = edge * nodes, edge * steps
    ends = np.array([-edge, edge])
    features = _features(np.concatenate([ends, nodes]))
    return Atoms(np.array([-np.inf, edge]), np.array([-edge, np.inf]), nodes, steps, features)


def _clip_notes(setup: SelectionSetup, clipped: Array) -> tuple[Note, ...]:
    rows = tuple(setup.data.effects.rows[i] for i in np.flatnonzero(clipped != setup.z))
    if not rows:
        return ()
    message = f"{len(rows)} p values beyond {SMALLEST_P:g} or 1 - {SMALLEST_P:g} count as lying there."
    return (Note("clipped-p", message, rows),)
