"""What a selection model starts from: effects on a common scale (`SelectionSetup`) and a weight function (`Selection`).

`SelectionSetup` is the same for every weight function; `Selection` is all that step and beta models differ in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replication.errors import ModelError
from replication.models.bias.inputs import BiasData, bias_data
from replication.models.bias.selection_likelihood import Atoms, SelectionLikelihood
from replication.models.bias.selection_search import EtaRange
from replication.models.fit import Array, Fit, Note
from replication.models.literals import Direction, SelectionTau2, check_choice
from replication.models.random_effects import fit_random_effects
from replication.models.weighted import Basis, orthonormal

__all__ = ["Selection", "SelectionSetup", "selection_setup"]


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """A weight function with d parameters eta, for k effects.

    `observed (k, d)` and `atoms` are what the likelihood needs, `starts` the eta to search from within `eta_range`.
    A parameter named in `names` is `exp(eta)` if `log_link` (weights of steps, with `counts` of p values), else
    `1 + eta` (shapes). Those marked in `estimated (d,)` are estimated, among them those in `zero (d,)` as exactly 0.
    """

    choices: Mapping[str, str]
    names: tuple[str, ...]
    counts: tuple[int | None, ...]
    observed: Array
    atoms: Atoms
    starts: Sequence[Array]
    eta_range: EtaRange
    log_link: bool
    estimated: NDArray[np.bool_]
    zero: NDArray[np.bool_]
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class SelectionSetup:
    """Effects ready for a selection likelihood, in units of `scale`, about the sd of an effect around the mean.

    `z (k,)` are the studies' own test statistics, positive in the favoured direction.
    """

    data: BiasData
    unadjusted: Fit
    basis: Basis
    scale: float
    sign: float
    z: Array
    choices: Mapping[str, str]

    @property
    def heterogeneous(self) -> bool:
        """Whether tau2 is estimated."""
        return self.choices["tau2"] == "ML"

    def likelihood(self, selection: Selection) -> SelectionLikelihood:
        """The likelihood of these effects under a selection."""
        y, v = self.sign * self.data.y / self.scale, self.data.v / self.scale**2
        return SelectionLikelihood(y, v, self.basis.columns, selection.observed, selection.atoms)

    def free(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which of `(beta, tau2, eta)` are estimated when `chosen (d,)` of the selection parameters are."""
        return np.array([True] * len(self.data.effects.names) + [self.heterogeneous, *chosen])

    def starts(self, selection: Selection) -> Array:
        """One start for each eta: the fit without selection, and more heterogeneity further from it."""
        gamma = np.linalg.solve(self.basis.to_beta, self.sign * self.unadjusted.beta / self.scale)
        tau2 = self.unadjusted.component("tau2").estimate + 0.05 * float(np.median(self.data.v))
        tau2 *= self.heterogeneous / self.scale**2
        return np.array([[*gamma, tau2 * (1.0 + j), *eta] for j, eta in enumerate(selection.starts)])

    def require_enough(self, selection: Selection) -> None:
        """Refuse fewer effects than parameters."""
        parameters = int(self.free(selection.estimated).sum())
        if self.data.k < parameters:
            raise ModelError(
                f"{self.data.k} effects for {parameters} parameters; use fewer selection parameters, fix them, or "
                "take tau2='EE'."
            )


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
    scale = float(np.sqrt(np.median(data.v) + unadjusted.component("tau2").estimate))
    choices = {"tau2": tau2, "test": "z", "direction": direction}
    return SelectionSetup(data, unadjusted, _basis(effects.x), scale, sign, sign * data.y / data.se, choices)


def _basis(x: Array) -> Basis:
    """Orthogonal columns of mean square 1, so that a coefficient of 1 is one unit of the effects."""
    basis = orthonormal(x)
    root = float(np.sqrt(len(x)))
    return Basis(basis.columns * root, basis.to_beta * root)
