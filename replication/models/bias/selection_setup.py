"""What step and beta selection models share before the search: checked effects on a common scale, and the starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from replication.models.bias.inputs import BiasData, bias_data
from replication.models.bias.selection_likelihood import Atoms, SelectionLikelihood
from replication.models.fit import Array, Fit
from replication.models.literals import Direction, SelectionTau2, check_choice
from replication.models.random_effects import fit_random_effects
from replication.models.weighted import Basis, orthonormal

__all__ = ["SelectionSetup", "selection_setup"]


@dataclass(frozen=True, slots=True, eq=False)
class SelectionSetup:
    """Effects ready for a selection likelihood: `z (k,)` in the favoured direction; y and v divided by `scale`."""

    data: BiasData
    unadjusted: Fit
    basis: Basis
    scale: float
    sign: float
    z: Array

    def likelihood(self, observed: Array, atoms: Atoms) -> SelectionLikelihood:
        """The likelihood of these effects under the selection that `observed` and `atoms` describe."""
        y, v = self.sign * self.data.y / self.scale, self.data.v / self.scale**2
        return SelectionLikelihood(y, v, self.basis.columns, observed, atoms)

    def starts(self, eta: Sequence[Array]) -> Array:
        """One start for each `eta (d,)`: the fit without selection, and more heterogeneity further from it."""
        gamma = np.linalg.solve(self.basis.to_beta, self.sign * self.unadjusted.beta / self.scale)
        tau2 = self.unadjusted.component("tau2").estimate / self.scale**2 + 0.05
        if self.unadjusted.method["tau2"] == "EE":
            tau2 = 0.0
        return np.array([[*gamma, tau2 * (1.0 + j), *values] for j, values in enumerate(eta)])


def selection_setup(
    y: ArrayLike,
    v: ArrayLike,
    x: ArrayLike | None,
    names: Sequence[str] | None,
    *,
    direction: Direction,
    tau2: SelectionTau2,
    level: float,
) -> SelectionSetup:
    """Check the effects and fit the model without selection."""
    check_choice(direction, Direction, "direction")
    check_choice(tau2, SelectionTau2, "tau2")
    p = 1 if x is None else np.shape(x)[-1]
    data = bias_data(y, v, x, names, fewest=p + 1, method="a selection model")
    effects = data.effects
    unadjusted = fit_random_effects(
        effects.y, effects.v, effects.x, method=tau2, test="z", level=level, names=effects.names
    )
    sign = 1.0 if direction == "positive" else -1.0
    scale = float(np.sqrt(np.median(data.v)))
    return SelectionSetup(data, unadjusted, _basis(effects.x), scale, sign, sign * data.y / data.se)


def _basis(x: Array) -> Basis:
    """Orthogonal columns of mean square 1, so that a coefficient of 1 is one unit of the effects."""
    basis = orthonormal(x)
    root = float(np.sqrt(len(x)))
    return Basis(basis.columns * root, basis.to_beta * root)
